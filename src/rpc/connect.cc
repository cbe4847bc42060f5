#include "rpc/connect.h"

#include "json/read.h"
#include "json/write.h"

namespace zcrpc::rpc {

using base::Code;
using base::Error;
using base::Slice;
using base::String;
using json::Reader;
using json::Token;

void write_error_json(const Error& e, String* out) {
  out->append("{\"code\":\"").append(base::code_name(wire_code(e.code()))).append('"');
  if (!e.message_view().empty()) {
    out->append(",\"message\":");
    json::append_quoted(out, e.message_view());
  }
  for (size_t i = 0; i < e.detail_count(); i++) {
    out->append(i ? ",{\"type\":" : ",\"details\":[{\"type\":");
    json::append_quoted(out, e.detail_type(i));
    out->append(",\"value\":\"");
    json::append_base64(out, e.detail_value(i), json::Alphabet::kStandard, false);
    out->append("\"}");
  }
  if (e.detail_count()) out->append(']');
  out->append('}');
}

namespace {

// A string, or any other value, which is passed over; false then.
bool string_or_skip(Reader* r, std::string_view* s) {
  if (r->peek() == Token::kString) return r->string(s);
  r->skip_value();
  return false;
}

// One of details; what is not as it should be is left out. False: no memory.
bool read_detail(Reader* r, Error* e) {
  if (r->peek() != Token::kObject) return r->skip_value(), true;
  base::String type;
  base::Vec<uint8_t> value;
  bool has_type = false, has_value = false;
  std::string_view name, s;
  if (!r->enter_object()) return true;
  while (r->next_member(&name)) {
    if (name == "type") {
      if (!string_or_skip(r, &s)) continue;
      s.remove_prefix(s.rfind('/') + 1);  // npos + 1 is 0
      type.clear();
      type.append(s);
      has_type = true;
    } else if (name == "value") {
      if (!string_or_skip(r, &s)) continue;
      size_t n;
      value.clear();
      uint8_t* p = value.grow(s.size() / 4 * 3 + 2);
      if (!p) return false;
      has_value = json::base64_read(s, p, &n);
      if (has_value) value.truncate(n);
    } else {
      r->skip_value();
    }
  }
  if (!r->ok() || !has_type || !has_value) return true;
  return type.ok() && e->add_detail(type.view(), Slice(value.data(), value.size()));
}

// An error's object, as far as it is one. False: no memory.
bool read_error(Reader* r, Error* e, bool* has_message) {
  bool ok = true;
  std::string_view name, s;
  if (r->peek() != Token::kObject || !r->enter_object()) return true;
  while (ok && r->next_member(&name)) {
    if (name == "code") {
      Code code;
      if (string_or_skip(r, &s) && base::code_from_name(s, &code)) e->set_code(code);
    } else if (name == "message") {
      if (string_or_skip(r, &s)) ok = *has_message = e->set_message(s);
    } else if (name == "details" && r->peek() == Token::kArray) {
      if (r->enter_array()) {
        while (ok && r->next_element()) ok = read_detail(r, e);
      }
    } else {
      r->skip_value();
    }
  }
  return ok;
}

// {"name":["value","value"]}; what is not as it should be is left out. False: no memory.
bool read_metadata(Reader* r, base::Metadata* to) {
  if (r->peek() != Token::kObject) return r->skip_value(), true;
  bool ok = true;
  std::string_view name, s;
  base::String kept;  // the values may need the reader's scratch memory
  if (!r->enter_object()) return true;
  while (ok && r->next_member(&name)) {
    kept.clear();
    kept.append(name);
    if (r->peek() != Token::kArray) {
      r->skip_value();
      continue;
    }
    if (!r->enter_array()) return true;
    while (ok && r->next_element()) ok = !string_or_skip(r, &s) || (kept.ok() && add_metadata(to, kept.view(), s));
  }
  return ok;
}

}  // namespace

Error* read_error_json(Slice text, Code fallback, std::string_view otherwise) {
  Error* e = Error::make(fallback, "");
  if (e->is_static()) return e;
  Reader r(text);
  bool has_message = false;
  bool ok = read_error(&r, e, &has_message);
  // Half a JSON text is none.
  if (ok && !r.finish()) {
    Error::free(e);
    return Error::make(fallback, otherwise);
  }
  if (ok && !has_message) ok = e->set_message(otherwise);
  if (ok) return e;
  Error::free(e);
  return Error::no_memory();
}

base::Status read_end_json(Slice text, base::Metadata* trailers) {
  Error* e = nullptr;
  Reader r(text);
  bool ok = true, has_message = false;
  std::string_view name;
  if (r.peek() != Token::kObject || !r.enter_object()) return base::Status(Code::kInternal, "the stream's end is not one");
  while (ok && r.next_member(&name)) {
    if (name == "error" && !e && r.peek() == Token::kObject) {
      e = Error::make(Code::kUnknown, "");
      ok = !e->is_static() && read_error(&r, e, &has_message);
    } else if (name == "metadata") {
      ok = read_metadata(&r, trailers);
    } else {
      r.skip_value();
    }
  }
  base::Status s(e);
  if (!ok) return base::Status::no_memory();
  if (!r.finish()) return base::Status(Code::kInternal, "the stream's end is not one");
  if (e) (void)e->metadata()->add_all(*trailers);
  return s;
}

}  // namespace zcrpc::rpc
