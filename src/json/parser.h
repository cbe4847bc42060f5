// The parser's state; parse.cc has objects, fields and plain values, parse_known.cc the well-known types.
#pragma once

#include "base/vec.h"
#include "json/json.h"
#include "json/read.h"
#include "json/time.h"
#include "schema/path.h"

namespace zcrpc::json {

class Parser {
 public:
  Parser(base::Slice text, const ParseOptions& o, encode::Encoder* e);
  base::Status run(const schema::Message* type);

 private:
  using Field = schema::Field;
  using Message = schema::Message;

  // Every one returns false after a mistake, which the reader (or the encoder) then holds.
  bool message(const Message* type);  // the next value, as the fields of the message that is open
  bool object(const Message* type);
  // The members of an object that was entered. any: of one whose type an Any's "@type" told.
  bool members(const Message* type, bool any);
  const Field* expected(const Message* type, uint32_t next, const uint8_t* at);
  const Field* find(const Message* type, std::string_view name);
  bool unknown(const Message* type, const uint8_t* at, std::string_view name);
  bool first_time(const Message* type, const Field* f, size_t seen, const uint8_t* at);
  bool field(const Message* type, const Field* f, size_t seen, const uint8_t* at);
  bool singular(const Field* f);
  bool list(const Field* f);
  bool map(const Field* f);
  bool entry(const Field* f, std::string_view key, const uint8_t* key_at);
  bool map_key(const Field* key, std::string_view s, uint64_t* bits);
  bool element(const Field* f);  // written even if it is a default
  bool sub_message(const Field* f);

  // A number's bits as the encoder takes them. dropped_ tells an enum's unknown name that is to be ignored.
  bool scalar(const Field* f, uint64_t* bits);
  bool number_text(std::string_view* s, const char* wanted);
  bool signed_integer(int64_t min, int64_t max, uint64_t* bits);
  bool unsigned_integer(uint64_t max, uint64_t* bits);
  bool floating(bool wide, uint64_t* bits);
  bool enumeration(const Field* f, uint64_t* bits);
  bool text(const Field* f, base::Slice* s);
  bool bytes(base::Slice* s);

  bool known(const Message* type);
  bool timestamp(const Message* type, bool is_duration);
  bool field_mask(const Message* type);
  bool mask_path(const Field* f, const uint8_t* at, std::string_view path);
  bool struct_value(const Message* type);
  bool dynamic_value(const Message* type);
  bool list_value(const Message* type);
  bool wrapper(const Message* type);
  bool any(const Message* type);
  bool any_type(base::Slice* url, bool* empty);
  bool any_value(const Message* type);

  static bool takes_null(const Field* f) {
    return schema::is_message(f->kind) ? f->message->well_known == schema::WellKnown::kValue
                                       : f->enumeration && f->enumeration->well_known == schema::WellKnown::kNullValue;
  }
  bool enter() {
    if (depth_ == 0) return r_.wrong_at(r_.position(), "nested too deeply", base::Code::kResourceExhausted);
    depth_--;
    return true;
  }
  void leave() { depth_++; }
  // The output is within its bounds, and the encoder has not failed.
  bool good() {
    if (encode::size(e_) <= o_.max_output && !encode::failed(e_)) [[likely]] return true;
    return r_.wrong_at(r_.position(), "the message becomes too large", base::Code::kResourceExhausted);
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
  const encode::Around around_;  // the text
  schema::Step* at_ = nullptr;
  uint32_t depth_;
  bool dropped_ = false;
  bool noted_ = false;
  size_t rescans_;            // bytes that may be read twice, for "@type" that comes late
  base::Vec<uint64_t> seen_;  // a bit for each field, oneof and extension of each open object
  base::Vec<uint8_t> bytes_;  // base64, decoded
  base::String path_;
};

}  // namespace zcrpc::json
