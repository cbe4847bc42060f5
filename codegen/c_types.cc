#include "c_types.h"

#include <cctype>
#include <cstdio>

#include "text.h"

namespace zcrpc::codegen {

using schema::Field;
using schema::Kind;

std::string upper(std::string s) {
  for (char& c : s) c = char(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

std::string clean_path(std::string_view s) {
  std::string r;
  for (char c : s) {
    bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || (c == '/' && (r.empty() || r.back() != '*'));
    r += plain ? c : '_';
  }
  return r;
}

std::string c_int32(int64_t v) { return v == INT32_MIN ? "-2147483647 - 1" : std::to_string(v); }

namespace {
std::string c_int64(int64_t v) {
  return v == INT64_MIN ? "-INT64_C(9223372036854775807) - 1" : (v < 0 ? "-" : "") + ("INT64_C(" + std::to_string(v < 0 ? -v : v) + ")");
}
}  // namespace

std::string getter(Kind k) {
  switch (k) {
    case Kind::kDouble: return "double";
    case Kind::kFloat: return "float";
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: return "i64";
    case Kind::kUint64: case Kind::kFixed64: return "u64";
    case Kind::kInt32: case Kind::kSint32: case Kind::kSfixed32: case Kind::kEnum: return "i32";
    case Kind::kUint32: case Kind::kFixed32: return "u32";
    case Kind::kBool: return "bool";
    default: return "string";
  }
}

std::string element_getter(Kind k) {
  switch (k) {
    case Kind::kFixed32: return "fixed32";
    case Kind::kFixed64: return "fixed64";
    case Kind::kSfixed32: return "sfixed32";
    case Kind::kSfixed64: return "sfixed64";
    default: return getter(k);
  }
}

std::string putter(Kind k) {
  switch (k) {
    case Kind::kDouble: return "double";
    case Kind::kFloat: return "float";
    case Kind::kUint64: case Kind::kUint32: return "uint";
    case Kind::kSint32: case Kind::kSint64: return "sint";
    case Kind::kFixed32: return "fixed32";
    case Kind::kFixed64: return "fixed64";
    case Kind::kSfixed32: return "sfixed32";
    case Kind::kSfixed64: return "sfixed64";
    default: return "int";
  }
}

std::string c_type(const Model& model, const Field* f) {
  if (f->kind == Kind::kEnum) {
    auto it = model.enums.find(f->enumeration);
    return it == model.enums.end() ? "int32_t" : it->second->name;
  }
  if (schema::is_string(f->kind)) return "zcrpc_slice";
  std::string g = getter(f->kind);
  if (g == "bool") return "int32_t";
  if (g == "double" || g == "float") return g;
  return (g[0] == 'u' ? "uint" : "int") + g.substr(1) + "_t";
}

std::string slot_of(const Field* f) {
  auto n = [](uint32_t v) { return std::to_string(v); };
  if (f->extension) {
    std::string run = f->parent->sparse ? "zcrpc_gen_sparse(m, " + n(uint32_t(f->parent->fields.size())) + ", " + n(f->parent->size) + ")"
                                        : "zcrpc_gen_at(m, " + n(f->parent->extension_slot) + ")";
    return "zcrpc_gen_extension(m, " + run + ", " + n(f->number) + ")";
  }
  if (f->parent->sparse) return "zcrpc_gen_sparse(m, " + n(f->bit) + ", " + n(f->parent->size) + ")";
  if (f->oneof) return "zcrpc_gen_if_case(m, " + n(f->case_offset) + ", " + n(f->number) + ", " + n(f->offset) + ")";
  bool has_default = !f->repeated() && (schema::is_string(f->kind) ? f->default_bytes.size != 0 : f->default_bits != 0);
  if (has_default && f->bit != ZCRPC_NO_BIT) return "zcrpc_gen_if_bit(m, " + n(f->bit) + ", " + n(f->offset) + ")";
  return "zcrpc_gen_at(m, " + n(f->offset) + ")";
}

std::string default_of(const Field* f) {
  char text[32];
  uint64_t bits = f->default_bits;
  switch (f->kind) {
    case Kind::kString: case Kind::kBytes:
      return "\"" + c_string(f->default_bytes.text()) + "\", " + std::to_string(f->default_bytes.size);
    case Kind::kDouble: case Kind::kFloat:
      if (bits == 0) return "0";
      snprintf(text, sizeof text, f->kind == Kind::kDouble ? "UINT64_C(0x%016llx)" : "0x%08llxu", static_cast<unsigned long long>(bits));
      return text;
    case Kind::kInt64: case Kind::kSint64: case Kind::kSfixed64: return bits == 0 ? "0" : c_int64(int64_t(bits));
    case Kind::kUint64: case Kind::kFixed64: return bits == 0 ? "0" : "UINT64_C(" + std::to_string(bits) + ")";
    case Kind::kUint32: case Kind::kFixed32: return bits == 0 ? "0" : std::to_string(uint32_t(bits)) + "u";
    case Kind::kBool: return bits ? "1" : "0";
    default: return c_int32(int32_t(uint32_t(bits)));
  }
}

bool is_stream(const MethodDecl& d) { return (d.method->flags & (schema::kClientStream | schema::kServerStream)) != 0; }

}  // namespace zcrpc::codegen
