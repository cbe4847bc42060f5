// An application's functions may be C++, and throw. What they throw ends here: the frames between them and the loop's turn
// hold locks and calls, and the process has other calls to answer.
#pragma once

#include <exception>
#include <string_view>

namespace zcrpc::rpc {

// What was thrown, for the log.
class Thrown {
 public:
  std::string_view what() const { return {text_, size_}; }
  void set(const char* what) noexcept;  // nullptr: it was no std::exception
  // Before anything can be thrown: whoever makes a server or a channel. Again is fine.
  static void prepare() noexcept;
  // Behind the catch: the runtimes of both sides count none as under way any more.
  static void forget() noexcept;

 private:
  char text_[256];
  size_t size_ = 0;
};

// Calls f, which calls the application. False: it threw *t.
template <class F>
bool came_back(F&& f, Thrown* t) noexcept {
  try {
    f();
    return true;
  } catch (const std::exception& e) {
    t->set(e.what());
  } catch (...) {
    t->set(nullptr);
  }
  Thrown::forget();
  return false;
}

}  // namespace zcrpc::rpc
