// A decoder is a chain: is it field 1, is it field 2, and so on, each time the next expected tag is compared where the last
// field has ended. What comes in another order finds its place in the chain through a switch.
#include "c_decoder.h"

#include <cstdio>

#include "c_types.h"
#include "text.h"

namespace zcrpc::codegen {

using schema::Field;
using schema::Kind;
using schema::Message;

namespace {

constexpr size_t kChain = 8;  // tags that are tried in a row before the switch is asked

std::string number(uint64_t v) { return std::to_string(v); }
std::string hex(uint64_t v) {
  char text[32];
  snprintf(text, sizeof text, "0x%02llx", static_cast<unsigned long long>(v));
  return text;
}

// The tag as it stands on the wire, one or two bytes, little-endian; 0: longer.
uint32_t wire_tag(const Field& f) {
  const uint32_t tag = f.tag();
  if (tag < 0x80) return tag;
  if (tag < 0x4000) return (tag & 0x7F) | 0x80 | tag >> 7 << 8;
  return 0;
}

const char* kind_suffix(Kind k) {
  switch (k) {
    case Kind::kInt64: case Kind::kUint64: return "v64";
    case Kind::kInt32: case Kind::kUint32: case Kind::kEnum: return "v32";
    case Kind::kSint64: return "s64";
    case Kind::kSint32: return "s32";
    case Kind::kBool: return "bool";
    case Kind::kDouble: case Kind::kFixed64: case Kind::kSfixed64: return "f64";
    default: return "f32";
  }
}
bool is_fixed(Kind k) { return schema::wire_type(k) != wire::Type::kVarint; }
std::string kind_macro(Kind k) {
  std::string s = std::string("ZCRPC_AS_") + kind_suffix(k);
  return upper(s);
}

// The numbers of a closed enum as bits; false: some do not fit.
bool members_of(const schema::Enum* e, uint64_t* members) {
  *members = 0;
  for (const auto& v : e->values) {
    if (v.number < 0 || v.number > 63) return false;
    *members |= uint64_t(1) << v.number;
  }
  return true;
}

// Whether the decoder knows the field; else it stops there.
bool is_straight(const Field& f) {
  if (wire_tag(f) == 0 || f.kind == Kind::kGroup || (f.oneof && f.parent->sparse)) return false;
  if (f.is_map()) {
    const Field *key = f.map_key(), *value = f.map_value();
    return key->kind == Kind::kString && schema::is_string(value->kind) && (key->utf8 || !value->utf8);
  }
  if (f.kind == Kind::kMessage) return !f.message->sparse;
  uint64_t members;
  if (f.closed_enum) return !f.repeated() && members_of(f.enumeration, &members);
  return true;
}

bool has_decoder(const Message* m) { return !m->message_set; }

// Small enough to be decoded in the midst of what it is part of.
bool is_leaf(const Message* m) {
  if (m->fields.size() > 4) return false;
  for (const Field& f : m->fields)
    if (f.repeated() || schema::is_message(f.kind)) return false;
  return has_decoder(m);
}

class Decoder {
 public:
  Decoder(const Model& model, const FileDecl& file, const MessageDecl& d) : model_(model), file_(file), m_(d.type), name_(d.name) {
    for (const Field& f : m_->fields)
      if (is_straight(f)) fields_.push_back(&f);
    for (const Field* f : fields_) {
      bits_ |= bit_of(*f) >= 0 && bit_of(*f) < 32;
      message_ |= f->kind == Kind::kMessage && !f->is_map();
      run_ |= f->kind == Kind::kMessage && f->repeated() && !f->is_map();
      map_ |= f->is_map();
      base_ |= (schema::is_string(f->kind) && !f->repeated()) || (f->kind == Kind::kMessage && !f->is_map());
    }
  }

  std::string write() {
    head();
    for (size_t i = 0; i < fields_.size(); i++) {
      if (i && i % kChain == 0) out_.print("  goto look;\n");
      field(*fields_[i]);
    }
    tail();
    return out_.take();
  }

 private:
  // Those of a sparse message lie in the frame that it has while it is open.
  std::string slot_of(const Field& f) const { return "m + " + number(m_->sparse ? m_->size + 8 * f.index : f.offset); }
  int bit_of(const Field& f) const { return f.bit == ZCRPC_NO_BIT ? -1 : int(f.bit); }
  std::string flush() const { return bits_ ? "zcrpc_d_bits(m, bits);" : ""; }
  std::string sub_name(const Field& f) const { return model_.messages.at(f.message)->name; }
  bool is_direct(const Field& f) const { return model_.message_files.at(f.message) == &file_ && has_decoder(f.message); }
  std::string parse(const Field& f) const { return !is_direct(f) ? "u->parse" : (is_leaf(f.message) ? "ZCRPC_LEAF(" : "ZCRPC_PARSE(") + sub_name(f) + ")"; }

  void head();
  void tail();
  void lookup();
  void field(const Field& f);
  void line(const Field& f, const std::string& call);
  void scalar(const Field& f);
  void array(const Field& f);
  void map(const Field& f);
  void message(const Field& f);
  void run(const Field& f);
  void set(const Field& f);

  const Model& model_;
  const FileDecl& file_;
  const Message* m_;
  std::string name_;
  std::vector<const Field*> fields_;
  bool bits_ = false, message_ = false, run_ = false, map_ = false, base_ = false;
  Printer out_;
};

void Decoder::head() {
  out_.print("\n$how$ const uint8_t *$m$(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m,\n"
             "    const zcrpc_decode_type *t, uint32_t depth) {\n", {{"how", is_leaf(m_) ? "ZCRPC_HOT" : "static ZCRPC_DECODE_TARGET"}, {"m", (is_leaf(m_) ? "ZCRPC_LEAF(" : "ZCRPC_PARSE(") + name_ + ")"}});
  if (base_) out_.print("  const uint8_t *const base = d->base;\n");
  if (!fields_.empty()) out_.print("  const uint8_t *q;\n");
  if (message_) out_.print("  const zcrpc_decode_type *u;\n  uint8_t *x;\n  uint32_t n;\n");
  if (run_) out_.print("  uint32_t left;\n");
  if (map_) out_.print("  uint32_t ordered;\n");
  if (bits_) out_.print("  uint32_t bits = 0;\n");
  if (!message_ && !map_) out_.print("  (void)depth;\n");
  out_.print("  if (p >= end) goto done;\n");
}

void Decoder::tail() {
  if (fields_.size() > kChain) out_.print("look:\n");
  if (!fields_.empty()) lookup();
  out_.print("stop:\n");
  if (bits_) out_.print("  $flush$\n", {{"flush", flush()}});
  out_.print("  return t->calls->stop(d, p, end, m, t);\ndone:\n  if (p != end) goto stop;\n");
  if (bits_) out_.print("  $flush$\n", {{"flush", flush()}});
  out_.print("  return p;\n}\n");
}

void Decoder::lookup() {
  out_.print("  switch (*p) {\n");
  std::vector<const Field*> wide;
  for (const Field* f : fields_) {
    if (wire_tag(*f) > 0xFF) {
      wide.push_back(f);
    } else {
      out_.print("    case $tag$: goto f$n$;\n", {{"tag", hex(wire_tag(*f))}, {"n", number(f->number)}});
    }
  }
  out_.print("    default: break;\n  }\n");
  if (!wide.empty()) {
    out_.print("  switch (zcrpc_d_wire16(p)) {\n");
    for (const Field* f : wide) out_.print("    case $tag$: goto f$n$;\n", {{"tag", hex(wire_tag(*f))}, {"n", number(f->number)}});
    out_.print("    default: break;\n  }\n");
  }
}

// A field that one call does.
void Decoder::line(const Field& f, const std::string& call) {
  out_.print("    if (!(q = $call$)) goto stop;\n", {{"call", call}});
  set(f);
  out_.print("    if ((p = q) >= end) goto done;\n  }\n");
}

// It is set now.
void Decoder::set(const Field& f) {
  if (f.case_offset) out_.print("    zcrpc_d_store32(m + $c$, $n$);\n", {{"c", number(f.case_offset)}, {"n", number(f.number)}});
  const int bit = bit_of(f);
  if (bit < 0) return;
  if (bit < 32)
    out_.print("    bits |= $bit$;\n", {{"bit", hex(1u << bit) + "u"}});
  else
    out_.print("    zcrpc_d_bit(m, $bit$);\n", {{"bit", number(uint64_t(bit))}});
}

void Decoder::field(const Field& f) {
  const uint32_t tag = wire_tag(f);
  out_.print("f$n$:\n  if ($p$ == $tag$) { /* $name$ */\n",
             {{"n", number(f.number)}, {"p", tag > 0xFF ? "zcrpc_d_wire16(p)" : "*p"}, {"tag", hex(tag)}, {"name", f.name}});
  if (f.is_map()) return map(f);
  if (f.kind == Kind::kMessage) return f.repeated() ? run(f) : message(f);
  return f.repeated() ? array(f) : scalar(f);
}

std::string behind(const Field& f) { return wire_tag(f) > 0xFF ? "p + 2" : "p + 1"; }

void Decoder::scalar(const Field& f) {
  const std::string at = behind(f), slot = slot_of(f);
  uint64_t members;
  if (schema::is_string(f.kind))
    return line(f, f.utf8 ? "ZCRPC_D(text)(base, " + at + ", end, m, " + slot.substr(4) + ", t)" : "ZCRPC_D(bytes)(base, " + at + ", end, " + slot + ")");
  if (f.closed_enum && members_of(f.enumeration, &members))
    return line(f, "ZCRPC_D(closed)(" + at + ", " + slot + ", UINT64_C(" + hex(members) + "))");
  line(f, "ZCRPC_D(number)(" + at + ", " + slot + ", " + kind_macro(f.kind) + ")");
}

void Decoder::array(const Field& f) {
  const std::string at = behind(f), slot = slot_of(f), tag = hex(wire_tag(f));
  if (schema::is_string(f.kind))
    return line(f, std::string("ZCRPC_D(") + (f.utf8 ? "texts" : "bytes_list") + ")(d, " + at + ", end, " + slot + ", " + tag + ", t)");
  if (!f.packed) return line(f, std::string("ZCRPC_D(list_") + kind_suffix(f.kind) + ")(d, " + at + ", end, " + slot + ", " + tag + ")");
  if (is_fixed(f.kind))
    return line(f, "ZCRPC_D(borrow)(d, " + at + ", end, m, " + slot + ", " + (schema::slot_width(f.kind) == 8 ? "3" : "2") + ", t, " + number(f.index) + ")");
  line(f, std::string("ZCRPC_D(packed_") + kind_suffix(f.kind) + ")(d, " + at + ", end, m, " + slot + ", t, " + number(f.index) + ")");
}

void Decoder::map(const Field& f) {
  const char* op = f.map_value()->utf8 ? "map_texts" : f.map_key()->utf8 ? "map_text_bytes" : "map_bytes";
  out_.print("    if (!(q = ZCRPC_D($op$)(d, $at$, end, $slot$, $tag$, t, depth, &ordered))) goto stop;\n",
             {{"op", op}, {"at", behind(f)}, {"slot", slot_of(f)}, {"tag", hex(wire_tag(f))}});
  set(f);
  out_.print("    p = q;\n    if (!ordered) {\n");
  if (bits_) out_.print("      $flush$\n", {{"flush", flush()}});
  out_.print("      if (!t->calls->settle(d, p, end, m, t, $i$)) return NULL;\n    }\n    if (p >= end) goto done;\n  }\n", {{"i", number(f.index)}});
}

// Sub-messages of another file are reached through the library, which knows whether its decoder speaks our language.
void Decoder::message(const Field& f) {
  const std::string slot = slot_of(f);
  out_.print("    u = t->subs[$i$];\n", {{"i", number(f.index)}});
  if (!is_direct(f)) out_.print("    if (!u->parse) goto stop;\n");
  if (f.case_offset)
    out_.print("    if (zcrpc_d_load32(m + $c$) == $n$) goto stop;\n", {{"c", number(f.case_offset)}, {"n", number(f.number)}});
  else
    out_.print("    if (zcrpc_d_load32($slot$) != 0) goto stop;\n", {{"slot", slot}});
  out_.print("    if (!(q = ZCRPC_D(message)(d, base, $at$, end, $slot$, $size$, u, depth, &x, &n))) goto stop;\n",
             {{"at", behind(f)}, {"slot", slot}, {"size", number(f.message->size)}});
  set(f);
  out_.print("    p = q + n;\n    if (!$parse$(d, q, p, x, u, depth - 1)) {\n", {{"parse", parse(f)}});
  if (bits_) out_.print("      $flush$\n", {{"flush", flush()}});
  out_.print("      return t->calls->unwind(d, end, m, t, depth, $i$, 0);\n    }\n    if (p >= end) goto done;\n  }\n", {{"i", number(f.index)}});
}

void Decoder::run(const Field& f) {
  const std::string i = number(f.index), size = number(f.message->size), at = behind(f);
  out_.print("    u = t->subs[$i$];\n", {{"i", i}});
  if (!is_direct(f)) out_.print("    if (!u->parse) goto stop;\n");
  out_.print("    if (!(x = ZCRPC_D(run)(d, $at$, end, $slot$, $size$, $tag$, t, depth, $i$, &left))) goto stop;\n",
             {{"at", at}, {"slot", slot_of(f)}, {"size", size}, {"tag", hex(wire_tag(f))}, {"i", i}});
  set(f);
  if (bits_) out_.print("    $flush$\n", {{"flush", flush()}});
  out_.print("    for (;; x += $size$) {\n"
             "      if (!(q = ZCRPC_D(length)($at$, end, &n))) return zcrpc_d_between(d, p, x - $size$, u, end, m, t, depth, $i$, left);\n"
             "      ZCRPC_D(open)(d, base, x, $size$, $at$, u);\n"
             "      p = q + n;\n"
             "      if (!$parse$(d, q, p, x, u, depth - 1)) return t->calls->unwind(d, end, m, t, depth, $i$, left - 1);\n"
             "      if (--left == 0) break;\n"
             "    }\n"
             "    if (p >= end) goto done;\n  }\n",
             {{"size", size}, {"at", at}, {"i", i}, {"parse", parse(f)}});
}

}  // namespace

std::string c_decoders(const Model& model, const FileDecl& f) {
  Printer out;
  bool any = false;
  for (const MessageDecl& m : f.messages) {
    if (!has_decoder(m.type)) continue;
    if (!any) out.print("#include <zcrpc/decode_ops.h>\n\n");
    any = true;
    out.print("static zcrpc_decode_fn ZCRPC_PARSE($m$);\n", {{"m", m.name}});
  }
  if (!any) return {};
  for (const MessageDecl& m : f.messages)
    if (is_leaf(m.type))
      out.print("$text$static ZCRPC_DECODE_TARGET const uint8_t *ZCRPC_PARSE($m$)(zcrpc_decode *d, const uint8_t *p, const uint8_t *end, uint8_t *m,\n"
                "    const zcrpc_decode_type *t, uint32_t depth) {\n  return ZCRPC_LEAF($m$)(d, p, end, m, t, depth);\n}\n",
                {{"text", Decoder(model, f, m).write()}, {"m", m.name}});
  for (const MessageDecl& m : f.messages)
    if (has_decoder(m.type) && !is_leaf(m.type)) out.print("$text$", {{"text", Decoder(model, f, m).write()}});
  out.print("\nstatic zcrpc_decode_fn *const ZCRPC_PARSE($f$_all)[] = {\n", {{"f", f.ident}});
  for (size_t i = 0; i < f.messages.size(); i++)
    out.print("  $fn$$comma$\n", {{"fn", has_decoder(f.messages[i].type) ? "ZCRPC_PARSE(" + f.messages[i].name + ")" : "NULL"},
                                  {"comma", i + 1 < f.messages.size() ? "," : ""}});
  out.print("};\n");
  return out.take();
}

std::string c_decoder_tables(const Model& model, const FileDecl& f) {
  (void)model;
  bool any = false;
  for (const MessageDecl& m : f.messages) any |= has_decoder(m.type);
  if (!any) return {};
  std::string stem = strip_proto(f.path);
  if (size_t slash = stem.rfind('/'); slash != std::string::npos) stem = stem.substr(slash + 1);
  Printer out;
  out.print("\n/* Straight-line decoders: the end of this file, once for each instruction set. */\n"
            "#include <zcrpc/decode.h>\n"
            "#if ZCRPC_DECODE_BASELINE\n#define ZCRPC_DECODE_PASS 0\n#include \"$stem$.zcrpc.c\"\n#undef ZCRPC_DECODE_PASS\n#endif\n"
            "#if ZCRPC_DECODE_V3\n#define ZCRPC_DECODE_PASS 3\n#include \"$stem$.zcrpc.c\"\n#undef ZCRPC_DECODE_PASS\n#endif\n"
            "#undef ZCRPC_OWN_DECODERS\n#if ZCRPC_DECODE_BASELINE\nstatic const zcrpc_decoders $f$_decoders = {\n  sizeof(zcrpc_decoders), 2, zcrpc_parse0_$f$_all,\n"
            "#if ZCRPC_DECODE_V3\n  zcrpc_parse3_$f$_all\n#else\n  NULL\n#endif\n};\n"
            "#define ZCRPC_OWN_DECODERS &$f$_decoders\n#else\n#define ZCRPC_OWN_DECODERS NULL\n#endif\n\n",
            {{"stem", stem}, {"f", f.ident}});
  return out.take();
}

}  // namespace zcrpc::codegen
