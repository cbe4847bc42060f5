// The printer's state; print.cc has fields and values, print_known.cc the well-known types.
#pragma once

#include "base/arena.h"
#include "json/json.h"
#include "json/out.h"
#include "json/time.h"
#include "schema/path.h"
#include "view/view.h"

namespace zcrpc::json {

class Printer {
 public:
  Printer(const PrintOptions& o, base::String* to) : o_(o), out_(to), plain_(!o.pretty && !o.proto_names && !o.redact) {}
  base::Status run(schema::View v, const schema::Message* type, base::String* to);

 private:
  using View = schema::View;
  using Field = schema::Field;
  using Message = schema::Message;

  // Every one returns false after a mistake, which is in status_.
  bool message(View v, const Message* type);
  bool plain(View v, const Message* type);
  // The members without their braces; *first: no comma before the next.
  bool members(View v, const Message* type, bool* first);
  bool extensions(View v, const Message* type, bool* first);
  bool member(const Field* f, const uint8_t* slot, bool* first);
  bool field(const Field* f, const uint8_t* slot);
  bool value(const Field* f, const uint8_t* slot);
  bool number(const Field* f, uint64_t bits);
  bool text(const Field* f, base::Slice s);
  bool list(const Field* f, const uint8_t* slot);
  bool map(const Field* f, const uint8_t* slot);
  bool map_key(const Field* key, const uint8_t* slot, char* digits, std::string_view* s);
  void enumeration(const schema::Enum* e, int32_t n);

  // print_plain.cc: the short way of plain(). The comma that comes behind each value belongs to it.
  bool compact(View v, const Message* type);
  char* key(char* p, const Field& f, size_t n);
  char* quoted(char* p, base::Slice s, char last);
  char* quoted_slowly(base::Slice s, size_t done, char last);
  char* string_map(char* p, const Field& f, const uint8_t* slot);
  char* enumerator(char* p, const Field& f, const uint8_t* slot);
  char* inner(char* p, const Field& f, View v);
  char* other(char* p, const Field& f, const uint8_t* slot);

  bool known(View v, const Message* type);
  bool any(View v, const Message* type);
  bool any_value(View inner, const Message* type, base::Slice url);
  bool timestamp(View v, const Message* type);
  bool duration(View v, const Message* type);
  bool field_mask(View v, const Message* type);
  bool mask_path(base::Slice path);
  bool struct_value(View v, const Message* type);
  bool dynamic_value(View v, const Message* type);
  bool list_value(View v, const Message* type);
  bool wrapper(View v, const Message* type);
  void nanos(int32_t n);

  // The slot of a field that is to be printed; nullptr: it is not set, or an implicit default.
  const uint8_t* present(View v, const Field* f) const;
  schema::Elements elements(const Field* f, const uint8_t* slot) const;
  View sub(const Message* type, uint32_t offset, const uint8_t* slot) const;
  base::Slice string(const uint8_t* slot) const {
    auto r = schema::load<zcrpc_str>(slot);
    return {input_ + r.offset, r.len};
  }

  bool enter() { return ++depth_ <= o_.max_depth || fail("nested too deeply", base::Code::kResourceExhausted); }
  void leave() { depth_--; }
  // Punctuation, with line breaks when they are asked for.
  void open(char c) {
    out_.put(c);
    indent_++;
  }
  void next(bool* first) {
    if (!*first) out_.put(',');
    *first = false;
    if (o_.pretty) line();
  }
  void close(char c, bool empty) {
    indent_--;
    if (o_.pretty && !empty) line();
    out_.put(c);
  }
  void name(std::string_view s) {
    out_.name(s);
    if (o_.pretty) out_.put(' ');
  }
  void line() { out_.line(2 * size_t(indent_)); }
  bool fail(const char* message, base::Code code = base::Code::kInvalidArgument);

  void start(View v) {
    input_ = schema::input_of(v);
    index_ = reinterpret_cast<const uint8_t*>(schema::index_of(v));
    const uint32_t n = schema::index_of(v)->input_len;
    safe_ = n >= 32 ? input_ + n - 32 : nullptr;
  }

  const PrintOptions& o_;
  Out out_;
  const bool plain_;                // no option asks for more than the short way can do
  const uint8_t* input_ = nullptr;  // of the message being printed
  const uint8_t* safe_ = nullptr;   // the last place of the input from which 32 bytes may be read
  const uint8_t* index_ = nullptr;
  schema::Step* at_ = nullptr;
  view::AnyBudget anys_;
  uint32_t depth_ = 0;
  uint32_t indent_ = 0;
  base::Status status_;
};

}  // namespace zcrpc::json
