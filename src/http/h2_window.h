// How much a peer may send ahead. What is under way on a path is its speed times the way there and back; a window below that
// makes the sender wait. Both are measured by a PING: the time until its answer, and the bytes that come meanwhile. If they fill
// half of the window it may be the window that holds them up, and it grows, as long as that makes them come faster.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace zcrpc::http {

class H2Window {
 public:
  void start(uint32_t first, uint32_t most) {
    target_ = first;
    most_ = most;
    wait_ = first / 2;
  }
  uint32_t target() const { return target_; }
  // So many bytes of DATA came.
  void came(size_t n) { bytes_ += n; }
  // A PING should go now: enough came for it to be worth its bytes.
  bool wants_ping() const { return !asked_ && target_ < most_ && bytes_ >= wait_; }
  void ping(int64_t now_ns) {
    asked_ = true;
    asked_ns_ = now_ns;
    bytes_ = 0;
  }
  bool asked() const { return asked_; }
  // Its answer. True: target() has grown.
  bool pong(int64_t now_ns) {
    asked_ = false;
    uint64_t bytes = std::min<uint64_t>(bytes_, kMostBytes);
    uint64_t speed = bytes * 1'000'000'000 / uint64_t(std::max<int64_t>(now_ns - asked_ns_, 1));
    bytes_ = 0;
    if (bytes * 2 < target_ || speed <= best_) {
      wait_ = std::min(wait_ * 2, kSeldom);  // it is as large as is of use, as it seems
      return false;
    }
    best_ = speed;
    target_ = uint32_t(std::min<uint64_t>(most_, std::max<uint64_t>(bytes * 2, uint64_t(target_) + target_ / 2)));
    wait_ = target_ / 2;
    return true;
  }

 private:
  static constexpr uint64_t kMostBytes = uint64_t(1) << 33;  // so that nothing overflows
  static constexpr uint64_t kSeldom = 16 << 20;              // bytes between two measurements, at most
  uint32_t target_ = 0, most_ = 0;
  uint64_t bytes_ = 0, wait_ = 0, best_ = 0;
  int64_t asked_ns_ = 0;
  bool asked_ = false;
};

}  // namespace zcrpc::http
