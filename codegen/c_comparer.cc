#include "c_comparer.h"

#include "text.h"

namespace zcrpc::codegen {

using schema::Field;
using schema::Kind;
using schema::Message;

namespace {

std::string number(uint64_t v) { return std::to_string(v); }

class Comparer {
 public:
  Comparer(const Model& model, const FileDecl& file, const MessageDecl& d) : model_(model), file_(file), m_(d.type), name_(d.name) {}

  std::string write() {
    std::string body;
    for (const Field& f : m_->fields) {
      const std::string step = step_of(f);
      body += "  " + condition(f, step) + "!(p = " + (step.empty() ? "s->field(s, p, m, " + number(f.index) + ", depth)" : step) + ")) return NULL;\n";
    }
    Printer out;
    out.print("static const uint8_t *zcrpc_same_$m$(const zcrpc_same *s, const uint8_t *p, const unsigned char *m, uint32_t depth) {\n"
              "  if (!depth) return NULL;\n$body$"
              "  return ((const zcrpc_head *)(const void *)m)->type_no & ZCRPC_HEAD_UNKNOWN ? s->rest(s, p, m) : p;\n}\n",
              {{"m", name_}, {"body", body}});
    return out.take();
  }

 private:
  static std::string slot_of(const Field& f) { return "m + " + number(f.offset); }
  std::string function_of(const Message* m) const {
    return model_.message_files.at(m) == &file_ && has_comparer(m) ? "zcrpc_same_" + model_.messages.at(m)->name : "";
  }

  // What has to hold before the field is looked at; `step` empty: the library looks.
  std::string condition(const Field& f, const std::string& step) const {
    if (step.empty()) return "if (";
    if (f.case_offset) return "if (zcrpc_same_u32(m + " + number(f.case_offset) + ") == " + number(f.number) + " && ";
    if (f.bit != ZCRPC_NO_BIT) return "if (zcrpc_same_bit(m, " + number(f.bit) + ") && ";
    if (!f.repeated() && !value_of(f).empty()) return "if (" + value_of(f) + " && ";
    return "if (";
  }
  // A varint field's value; "": it is none.
  static std::string value_of(const Field& f) {
    switch (f.kind) {
      case Kind::kInt64: case Kind::kUint64: return "zcrpc_same_u64(" + slot_of(f) + ")";
      case Kind::kInt32: case Kind::kEnum: return "(uint64_t)(int64_t)(int32_t)zcrpc_same_u32(" + slot_of(f) + ")";
      case Kind::kUint32: return "zcrpc_same_u32(" + slot_of(f) + ")";
      case Kind::kBool: return "m[" + number(f.offset) + "]";
      default: return "";
    }
  }
  // The expression of where the field ends; "": the library knows.
  std::string step_of(const Field& f) const {
    if (f.number >= 16 || f.extension) return "";
    const std::string at = "s, p, " + slot_of(f) + ", ", tag = number(f.number << 3 | 2);
    const bool set = f.case_offset || f.presence;
    if (f.is_map()) {
      const bool strings = schema::is_string(f.map_key()->kind) && schema::is_string(f.map_value()->kind);
      return strings && f.map_key()->offset == 0 && f.map_value()->offset == 8 && f.stride == 16 ? "zcrpc_same_map(" + at + tag + ")" : "";
    }
    if (f.kind == Kind::kMessage) {
      const std::string fn = function_of(f.message);
      if (fn.empty()) return "";
      return f.repeated() ? "zcrpc_same_run(" + at + tag + ", " + fn + ", depth, " + number(f.stride) + ")"
                          : "zcrpc_same_sub(" + at + tag + ", " + fn + ", depth)";
    }
    if (f.repeated()) return "";
    if (schema::is_string(f.kind)) return "zcrpc_same_string(" + at + tag + ", " + (set ? "1" : "0") + ")";
    if (value_of(f).empty() || (f.presence && f.bit == ZCRPC_NO_BIT && !f.case_offset)) return "";
    return "zcrpc_same_number(s, p, " + number(f.number << 3) + ", " + value_of(f) + ")";
  }

  const Model& model_;
  const FileDecl& file_;
  const Message* m_;
  std::string name_;
};

}  // namespace

bool has_comparer(const schema::Message* m) { return !m->sparse && !m->extendable(); }

std::string c_comparers(const Model& model, const FileDecl& f) {
  Printer out;
  bool any = false;
  for (const MessageDecl& m : f.messages) any |= has_comparer(m.type);
  if (!any) return {};
  out.print("/* Comparers: does a message come as it would be written? */\n#undef ZCRPC_SAME_OF\n#if ZCRPC_DECODE_BASELINE\n"
            "#include <zcrpc/encode_ops.h>\n#define ZCRPC_SAME_OF(m) zcrpc_same_##m\n\n");
  for (const MessageDecl& m : f.messages)
    if (has_comparer(m.type)) out.print("static zcrpc_same_fn zcrpc_same_$m$;\n", {{"m", m.name}});
  for (const MessageDecl& m : f.messages)
    if (has_comparer(m.type)) out.print("$text$", {{"text", Comparer(model, f, m).write()}});
  out.print("#else\n#define ZCRPC_SAME_OF(m) NULL\n#endif\n\n");
  return out.take();
}

}  // namespace zcrpc::codegen
