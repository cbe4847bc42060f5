// Pieces of a body on their way from one thread to another, without a copy: what holds them is retained. With a window,
// as streams of HTTP/2 have one: who writes learns how much was not used yet, and when that has become less.
#pragma once

#include <atomic>
#include <mutex>
#include <span>

#include "base/header.h"
#include "base/vec.h"

namespace zcrpc::server {

class Pipe {
 public:
  explicit Pipe(const base::Allocator* a) : pieces_(a) {}
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() { clear(); }

  // The writer. All pieces have a buffer; all or none go, false without memory. last: nothing comes behind them.
  [[nodiscard]] bool push(std::span<const base::Piece> pieces, bool last);
  void end() { (void)push({}, true); }  // cannot fail
  // Bytes that were pushed and not used.
  size_t size() const { return size_.load(); }
  // Whether size() has reached that much. If so, used tells its caller when it has become less than half of it.
  bool is_full(size_t window);

  // The reader. The next piece, with its reference; false: there is none now.
  bool take(base::Piece* p);
  bool at_end();                          // nothing will come any more
  // n bytes were used. True: the writer waits to be told.
  bool used(size_t n, size_t window);
  // Nobody reads any more.
  void clear();

 private:
  std::mutex gate_;                       // of the next three
  base::Vec<base::Piece> pieces_;
  size_t at_ = 0;                         // those before it were taken
  bool last_ = false;
  std::atomic<size_t> size_{0};
  std::atomic<bool> waits_{false};
};

}  // namespace zcrpc::server
