// The printer's state; print.cc has fields and values, print_unknown.cc what the schema does not know.
#pragma once

#include "base/arena.h"
#include "schema/path.h"
#include "text/out.h"
#include "text/text.h"
#include "view/view.h"

namespace zcrpc::text {

class Printer {
 public:
  Printer(const PrintOptions& o, base::String* to) : o_(o), out_(to, o.max_output) {}
  base::Status run(schema::View v, base::String* to);

 private:
  using View = schema::View;
  using Field = schema::Field;
  using Message = schema::Message;

  // Every one returns false after a mistake, which is in status_, or when the output is at its end.
  bool fields(View v);
  bool field(View v, const Field* f);
  bool list(const Field* f, const schema::Elements& e);
  bool messages(const Field* f, const schema::Elements& e);
  bool map(const Field* f, const schema::Elements& e);
  void text(const Field* f, base::Slice s);
  void number(const Field* f, uint64_t bits);
  bool sub_message(View v);
  bool any(View v, const Message* type, bool* done);

  bool unknown(View v);
  const uint8_t* unknown_fields(const uint8_t* p, const uint8_t* end, uint32_t levels);
  bool unknown_length(base::Slice s, uint32_t levels);

  bool enter() { return ++depth_ <= o_.max_depth || fail("nested too deeply"); }
  void leave() { depth_--; }
  // What stands before a field: nothing before the first of all.
  void next() {
    if (!first_ || indent_) o_.pretty ? line() : out_.put(' ');
    first_ = false;
  }
  void line() { out_.line(2 * size_t(indent_)); }
  void name(const Field* f);
  // The braces of a message, behind its name.
  void open() {
    out_.text(" {");
    indent_++;
    first_ = true;
  }
  void close() {
    indent_--;
    if (!first_) o_.pretty ? line() : out_.put(' ');
    out_.put('}');
    first_ = false;
  }
  bool fail(const char* message);

  const PrintOptions& o_;
  Out out_;
  schema::Step* at_ = nullptr;
  view::AnyBudget anys_;
  uint32_t depth_ = 0, indent_ = 0;
  bool first_ = true;  // no field of the innermost message was printed yet
  base::Status status_;
};

}  // namespace zcrpc::text
