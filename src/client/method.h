// A method kept for later: its schema is retained; one without a schema is copied.
#pragma once

#include "base/status.h"
#include "base/string.h"
#include "schema/schema.h"

namespace zcrpc::client {

class MethodRef {
 public:
  explicit MethodRef(const base::Allocator* a) : path_(a) {}
  MethodRef(const MethodRef&) = delete;
  MethodRef& operator=(const MethodRef&) = delete;
  ~MethodRef() {
    if (method_ && method_->schema) method_->schema->release();
  }

  base::Status set(const schema::Method* m) {
    if (m->schema) {
      m->schema->retain();
      method_ = m;
      return {};
    }
    copy_ = *m;
    path_.append(m->path);
    if (!path_.ok()) return base::Status::no_memory();
    copy_.path = path_.view();
    copy_.service = copy_.name = {};  // they lay in the caller's path
    method_ = &copy_;
    return {};
  }
  const schema::Method* get() const { return method_; }

 private:
  const schema::Method* method_ = nullptr;
  schema::Method copy_{};
  base::String path_;
};

}  // namespace zcrpc::client
