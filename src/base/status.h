// Errors as values. A Status is one pointer: null is success. The object behind it is what C calls zcrpc_error.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/metadata.h"
#include "base/slice.h"
#include "base/string.h"

namespace zcrpc::base {

// Connect's and gRPC's codes; from 100 on local ones, which never reach the wire. The numbers are zcrpc.h's.
enum class Code : int32_t {
  kOk = 0, kCanceled = 1, kUnknown = 2, kInvalidArgument = 3, kDeadlineExceeded = 4, kNotFound = 5, kAlreadyExists = 6,
  kPermissionDenied = 7, kResourceExhausted = 8, kFailedPrecondition = 9, kAborted = 10, kOutOfRange = 11,
  kUnimplemented = 12, kInternal = 13, kUnavailable = 14, kDataLoss = 15, kUnauthenticated = 16,
  kPending = 100, kTooSmall = 101,
};
const char* code_name(Code c);                 // "not_found"; "unknown" for a stranger
bool code_from_name(std::string_view, Code*);  // the 16 names of errors; false for a stranger

// One error. Made by Error::make, ended by Error::free. The static one for want of memory may be freed too: it stays.
class Error {
 public:
  static Error* make(Code code, std::string_view message);
  static Error* no_memory();
  static void free(Error* e);

  Code code() const { return code_; }
  const char* message() const { return message_; }  // zero-terminated
  std::string_view message_view() const { return {message_, message_size_}; }
  const char* path() const { return path_; }  // of a field, "records[3].source"; "" if none
  int64_t offset() const { return offset_; }  // byte of the input; -1 if none
  // All false without memory, and then the error is as it was. The static error takes nothing: false.
  bool set_path(std::string_view path);
  bool set_message(std::string_view message);
  void set_code(Code c);
  void set_offset(int64_t offset);
  bool add_detail(std::string_view type, Slice value);  // both copied
  size_t detail_count() const { return lists_ ? lists_->details.size() : 0; }
  std::string_view detail_type(size_t i) const { return lists_->details.name(i); }
  Slice detail_value(size_t i) const { return lists_->details.value(i); }
  Metadata* metadata() { return lists_ ? &lists_->metadata : nullptr; }  // nullptr: the static error
  const Metadata* metadata() const { return lists_ ? &lists_->metadata : nullptr; }
  // Whether the application wrote it for a peer to read. What the library made, a call downstream among it, reaches no
  // peer but for its code.
  bool spoken() const { return spoken_; }
  void set_spoken(bool yes) {
    if (!is_static()) spoken_ = yes;
  }
  bool is_static() const { return lists_ == nullptr; }

 private:
  struct Lists {
    Metadata details;  // type, value
    Metadata metadata;
  };
  struct OnHeap;

  constexpr Error(Code code, const char* message, size_t n, Lists* lists)
      : code_(code), message_(message), message_size_(n), lists_(lists) {}

  static const Error kNoMemory;

  Code code_;
  bool spoken_ = false;
  int64_t offset_ = -1;
  const char* message_;
  size_t message_size_;
  const char* path_ = "";
  Lists* lists_;  // lies behind the error; no destructor here, so that the static one registers none
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  explicit Status(Error* e) : e_(e) {}  // takes it over; null is success
  Status(Code code, std::string_view message) : e_(Error::make(code, message)) {}
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;
  Status(Status&& o) noexcept : e_(std::exchange(o.e_, nullptr)) {}
  Status& operator=(Status&& o) noexcept {
    if (this != &o) {
      Error::free(e_);
      e_ = std::exchange(o.e_, nullptr);
    }
    return *this;
  }
  ~Status() { Error::free(e_); }

  static Status no_memory() { return Status(Error::no_memory()); }
  // printf, without locale-dependent conversions (no floats).
  static Status format(Code code, const char* fmt, ...) __attribute__((format(printf, 2, 3)));

  bool ok() const { return e_ == nullptr; }
  Code code() const { return e_ ? e_->code() : Code::kOk; }
  const char* message() const { return e_ ? e_->message() : ""; }
  const char* path() const { return e_ ? e_->path() : ""; }
  int64_t offset() const { return e_ ? e_->offset() : -1; }
  Error* error() const { return e_; }
  [[nodiscard]] Error* take() { return std::exchange(e_, nullptr); }
  Status at(int64_t offset) && {
    if (e_) e_->set_offset(offset);
    return std::move(*this);
  }
  Status in(std::string_view path) && {
    if (e_) (void)e_->set_path(path);
    return std::move(*this);
  }

 private:
  Error* e_ = nullptr;
};

// A value or why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T v) : v_(std::move(v)) {}
  Result(Status s) : s_(std::move(s)) {}
  bool ok() const { return s_.ok(); }
  T& value() { return v_; }
  T& operator*() { return v_; }
  T* operator->() { return &v_; }
  const Status& status() const { return s_; }
  Status take_status() { return std::move(s_); }

 private:
  T v_{};
  Status s_;
};

}  // namespace zcrpc::base

#define ZCRPC_TRY(expr)                              \
  do {                                               \
    if (auto s_ = (expr); !s_.ok()) return s_;       \
  } while (0)
