// What X.zcrpc.h has beyond the fields of its own messages: extensions, and shortcuts to well-known types.
#include "c_types.h"
#include "text.h"

namespace zcrpc::codegen {

using schema::Field;
using schema::Kind;

namespace {

constexpr std::string_view kEncoder = "(zcrpc_encoder *)(void *)w";

// Which put of zcrpc.h takes a number of that kind, and the type that it takes.
struct Put {
  const char *name, *type;
};
Put put_of(Kind k) {
  switch (k) {
    case Kind::kDouble: case Kind::kFloat: return {"double", "double"};
    case Kind::kUint32: case Kind::kUint64: case Kind::kFixed32: case Kind::kFixed64: return {"uint64", "uint64_t"};
    default: return {"int64", "int64_t"};
  }
}

class Extension {
 public:
  Extension(const Model& model, const ExtensionDecl& x) : model_(model), x_(x), f_(x.field), of_(model.messages.at(x.field->parent)->name) {}

  std::string write() {
    print("$comment$enum { $x$_NUMBER = $n$ };\n");
    if (f_->repeated()) {
      print("static inline size_t $x$_count(const $of$ *m) { return zcrpc_gen_count($slot$); }\n");
      read_element();
    } else {
      print("static inline int32_t $x$_has(const $of$ *m) { return $slot$ != NULL; }\n");
      read_one();
    }
    put();
    return out_.take();
  }

 private:
  void read_one();
  void read_element();
  void put();
  void print(std::string_view text, std::string_view get = {}, std::string_view at = {}) {
    std::string slot = slot_of(f_), type = schema::is_message(f_->kind) ? model_.messages.at(f_->message)->name : c_type(model_, f_);
    Put p = put_of(f_->kind);
    out_.print(text, {{"comment", c_comment(x_.comment)}, {"x", x_.name}, {"of", of_}, {"slot", slot}, {"t", type},
                      {"n", std::to_string(f_->number)}, {"get", get}, {"at", at}, {"none", default_of(f_)},
                      {"put", p.name}, {"as", p.type}, {"e", kEncoder},
                      {"element", f_->kind == Kind::kBool ? "uint8_t" : type}, {"char", f_->kind == Kind::kString ? "char" : "void"}});
  }

  const Model& model_;
  const ExtensionDecl& x_;
  const Field* f_;
  std::string of_;
  Printer out_;
};

void Extension::read_one() {
  if (schema::is_message(f_->kind))
    print("static inline const $t$ *$x$_get(const $of$ *m) { return (const $t$ *)zcrpc_gen_message(m, $slot$); }\n");
  else if (schema::is_string(f_->kind))
    print("static inline zcrpc_slice $x$_get(const $of$ *m) { return zcrpc_gen_string(m, $slot$, $none$); }\n");
  else
    print("static inline $t$ $x$_get(const $of$ *m) { return zcrpc_gen_$get$($slot$, $none$); }\n", getter(f_->kind));
}

void Extension::read_element() {
  if (!schema::is_message(f_->kind)) {
    print("static inline $t$ $x$_get(const $of$ *m, size_t i) { return zcrpc_gen_$get$_at(m, $slot$, i); }\n", element_getter(f_->kind));
    return;
  }
  std::string at = "zcrpc_gen_element(m, " + slot_of(f_) + ", i, " + std::to_string(f_->stride) + ")";
  if (f_->message->sparse) at = "zcrpc_gen_message(m, " + at + ")";
  print("static inline const $t$ *$x$_get(const $of$ *m, size_t i) { return (const $t$ *)$at$; }\n", {}, at);
}

// Out of line: only a schema that knows the extension may write it.
void Extension::put() {
  if (schema::is_message(f_->kind)) {
    print("static inline void $x$_put($of$_writer *w, const $t$ *v) { zcrpc_encoder_put_view($e$, $n$, $t$_view(v)); }\n"
          "static inline $t$_writer *$x$_begin($of$_writer *w) {\n"
          "  zcrpc_encoder_begin($e$, $n$);\n  return ($t$_writer *)(void *)w;\n}\n");
  } else if (schema::is_string(f_->kind)) {
    print("static inline void $x$_put($of$_writer *w, const $char$ *s, size_t len) { zcrpc_encoder_put_string($e$, $n$, s, len); }\n"
          "static inline void $x$_put_buffer($of$_writer *w, zcrpc_buffer *b, size_t offset, size_t len) { zcrpc_encoder_put_buffer($e$, $n$, b, offset, len); }\n");
  } else {
    print("static inline void $x$_put($of$_writer *w, $t$ v) { zcrpc_encoder_put_$put$($e$, $n$, ($as$)v); }\n");
    if (f_->repeated())
      print("static inline void $x$_put_array($of$_writer *w, const $element$ *v, size_t n) { zcrpc_encoder_put_array($e$, $n$, v, n); }\n");
  }
}

}  // namespace

std::string c_extension(const Model& model, const ExtensionDecl& x) { return Extension(model, x).write(); }

// Timestamps and durations as nanoseconds, wrappers as what they wrap.
std::string c_shortcuts(const Model& model, const MessageDecl& m, const FieldDecl& d) {
  if (d.helper.empty()) return {};
  const Field* f = d.field;
  const Field* inner = f->message->by_number(1);
  const std::string n = std::to_string(f->number), t = model.messages.at(f->message)->name;
  Printer out;
  bool time = f->message->well_known == schema::WellKnown::kTimestamp || f->message->well_known == schema::WellKnown::kDuration;
  if (time) {
    out.print("/* In nanoseconds$since$; absent: 0. */\n"
              "static inline zcrpc_code $m$_$h$(const $m$ *m, int64_t *ns, zcrpc_error **err) { return zcrpc_view_time($t$_view($m$_$f$(m)), ns, err); }\n"
              "static inline void $m$_put_$h$($m$_writer *w, int64_t ns) { zcrpc_encoder_put_time($e$, $n$, ns); }\n",
              {{"since", f->message->well_known == schema::WellKnown::kTimestamp ? " since 1970" : ""}, {"m", m.name}, {"h", d.helper},
               {"t", t}, {"f", d.name}, {"e", kEncoder}, {"n", n}});
    return out.take();
  }
  if (!inner || inner->repeated() || schema::is_message(inner->kind)) return {};
  std::string type = c_type(model, inner), none = default_of(inner);
  std::string get = schema::is_string(inner->kind) ? "zcrpc_gen_string(m, " + slot_of(inner) + ", " + none + ")"
                                                   : "zcrpc_gen_" + getter(inner->kind) + "(" + slot_of(inner) + ", " + none + ")";
  out.print("/* What is in the wrapper; absent: $zero$. */\n"
            "static inline $type$ $m$_$h$(const $m$ *outer) {\n  const $t$ *m = $m$_$f$(outer);\n  return $get$;\n}\n",
            {{"zero", schema::is_string(inner->kind) ? "empty" : "0"}, {"type", type}, {"m", m.name}, {"h", d.helper}, {"t", t}, {"f", d.name}, {"get", get}});
  std::string parameters = type + " v", put = "zcrpc_encoder_put_" + std::string(put_of(inner->kind).name) + "(" + std::string(kEncoder) + ", 1, (" + put_of(inner->kind).type + ")v)";
  if (schema::is_string(inner->kind)) {
    parameters = std::string("const ") + (inner->kind == Kind::kString ? "char" : "void") + " *s, size_t len";
    put = "zcrpc_encoder_put_string(" + std::string(kEncoder) + ", 1, s, len)";
  }
  out.print("static inline void $m$_put_$h$($m$_writer *w, $parameters$) {\n"
            "  zcrpc_encoder_begin($e$, $n$);\n  $put$;\n  zcrpc_encoder_end($e$);\n}\n",
            {{"m", m.name}, {"h", d.helper}, {"parameters", parameters}, {"e", kEncoder}, {"n", n}, {"put", put}});
  return out.take();
}

}  // namespace zcrpc::codegen
