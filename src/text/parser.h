// The parser's state; parse.cc has fields and plain values, parse_any.cc names in brackets and what is skipped.
#pragma once

#include "base/vec.h"
#include "schema/path.h"
#include "text/read.h"
#include "text/text.h"

namespace zcrpc::text {

class Parser {
 public:
  Parser(base::Slice text, const ParseOptions& o, encode::Encoder* e) : r_(text), o_(o), e_(e), depth_(o.max_depth) {}
  base::Status run(const schema::Message* type);

 private:
  using Field = schema::Field;
  using Message = schema::Message;

  // What a message under construction remembers of its fields.
  struct Open {
    size_t counts;                  // where its counts begin
    bool counted = false;           // they are there
    uint32_t next = 0;              // the field that is expected: printers write them in order
    const Field* packed = nullptr;  // an open packed run
  };

  // Every one returns false after a mistake, which the reader (or the encoder) then holds.
  bool fields(const Message* type, char close);  // up to the closing bracket, or, with 0, to the end of the text
  bool field(const Message* type, Open* o);
  const Field* find(const Message* type, std::string_view name, Open* o);
  bool assign(const Message* type, const Field* f, Open* o, const uint8_t* at);
  bool count(const Message* type, const Field* f, Open* o, const uint8_t* at);
  uint32_t* counter(const Message* type, Open* o, size_t i);
  bool elements(const Field* f, Open* o);
  bool element(const Field* f, Open* o);
  bool sub_message(const Field* f);
  bool open_brace(char* close);
  void close_run(Open* o);

  // A number's bits as the encoder takes them. dropped_ tells an enum's unknown name that is to be ignored.
  bool scalar(const Field* f, uint64_t* bits);
  bool integer(bool is_signed, uint64_t most, uint64_t* bits);
  bool floating(bool wide, uint64_t* bits);
  bool boolean(uint64_t* bits);
  bool enumeration(const Field* f, uint64_t* bits);
  bool text(const Field* f, base::Slice* s);

  bool bracketed(const Message* type, Open* o, const uint8_t* at);
  bool bracket_name();
  const Field* extension(const Message* type, std::string_view name);
  bool any(const Message* type, Open* o, const uint8_t* at);
  bool unknown(const Message* type, std::string_view name, const uint8_t* at);
  bool by_number(const Message* type, const uint8_t* at);
  bool skip_field();
  bool skip_value();
  bool skip_message();

  bool enter() {
    if (depth_ == 0) return r_.wrong("nested too deeply", base::Code::kResourceExhausted);
    depth_--;
    return true;
  }
  void leave() { depth_++; }
  // The output is within its bounds, and the encoder has not failed.
  bool good() {
    if (encode::size(e_) <= o_.max_output && !encode::failed(e_)) [[likely]] return true;
    return r_.wrong("the message becomes too large", base::Code::kResourceExhausted);
  }
  // On a mistake: remembers where in the message it was made, while the steps are there.
  bool note(bool success) {
    if (!success && !noted_) {
      noted_ = true;
      schema::append_path(at_, &path_);
    }
    return success;
  }

  Reader r_;
  const ParseOptions& o_;
  encode::Encoder* e_;
  schema::Step* at_ = nullptr;
  uint32_t depth_;
  bool dropped_ = false;
  bool noted_ = false;
  base::Vec<uint32_t> counts_;  // how often each field, oneof and extension came, of each open message
  base::String name_;           // between brackets, or in lower case
  base::String path_;
};

}  // namespace zcrpc::text
