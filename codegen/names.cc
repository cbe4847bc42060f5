// Names in C. What a file declares shares one name space: types and their verbs first, so that they keep their names,
// then enum values, then fields. A name that is taken gets an underscore behind it, and never depends on another file.
#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "model.h"

namespace zcrpc::codegen {
namespace {

// Keywords of C and C++, macros of their common headers, and names that generated code itself uses. They matter where
// no package stands in front: for types without a package, and for members of service structs.
constexpr std::string_view kReserved[] = {
    "EOF", "FILE", "I", "INFINITY", "NAN", "NULL", "a", "abort", "alignas", "alignof", "and", "and_eq", "asm", "assert",
    "at", "auto", "b", "bitand", "bitor", "bool", "break", "c", "call", "case", "catch", "ch", "char", "char16_t", "char32_t",
    "char8_t", "class", "co_await", "co_return", "co_yield", "code", "compl", "complex", "concept", "const", "const_cast",
    "consteval", "constexpr", "constinit", "continue", "count", "data", "decltype", "default", "delete", "do", "double",
    "dynamic_cast", "e", "else", "enum", "err", "errno", "event", "exit", "explicit", "export", "extern", "false", "float",
    "for", "free", "friend", "goto", "i", "i386", "if", "impl", "inline", "int", "int16_t", "int32_t", "int64_t", "int8_t",
    "intptr_t", "key", "key_len", "len", "linux", "long", "m", "main", "malloc", "memcmp", "memcpy", "memmove", "memset",
    "method", "mutable", "n", "namespace", "new", "noexcept", "none", "noreturn", "not", "not_eq", "nullptr", "o", "offset",
    "offsetof", "operator", "or", "or_eq", "private", "protected", "ptrdiff_t", "public", "q", "r", "register",
    "reinterpret_cast", "reply", "request", "requires", "restrict", "return", "s", "short", "signed", "size_t", "sizeof",
    "static", "static_assert", "static_cast", "stderr", "stdin", "stdout", "strlen", "struct", "switch", "t", "template",
    "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "uint16_t", "uint32_t",
    "uint64_t", "uint8_t", "uintptr_t", "union", "unix", "unsigned", "user", "using", "v", "value", "value_len", "virtual",
    "void", "volatile", "w", "wchar_t", "which", "while", "xor", "xor_eq",
};
static_assert(std::is_sorted(std::begin(kReserved), std::end(kReserved)));

bool is_reserved(const std::string& s) { return std::binary_search(std::begin(kReserved), std::end(kReserved), std::string_view(s)); }

std::string dots_to_underscores(std::string_view s) {
  std::string r(s);
  std::replace(r.begin(), r.end(), '.', '_');
  return r;
}

// A path as an identifier; what cannot stand in one is written as its number.
std::string path_ident(std::string_view path) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string r;
  for (char c : path) {
    auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || c == '_')
      r += c;
    else if (c == '/')
      r += '_';
    else
      r += std::string("_x") + kHex[u >> 4] + kHex[u & 15];
  }
  return r;
}

// The package and the file's name; its folder too, unless that only says the package once more.
std::string file_ident(std::string_view path, std::string_view package) {
  std::string stem = strip_proto(path), pkg = dots_to_underscores(package);
  size_t slash = stem.rfind('/');
  std::string folder = slash == std::string::npos ? "" : path_ident(stem.substr(0, slash));
  if (!pkg.empty() && folder == pkg) stem = stem.substr(slash + 1);
  std::string r = pkg.empty() ? path_ident(stem) : pkg + "_" + path_ident(stem);
  if (r.empty() || !std::isalpha(static_cast<unsigned char>(r[0]))) r = "file_" + r;
  return r;
}

// SayHello -> say_hello, GetURL -> get_url, HTTPServer -> http_server
std::string snake_case(std::string_view s) {
  auto upper = [&](size_t i) { return i < s.size() && std::isupper(static_cast<unsigned char>(s[i])) != 0; };
  auto lower = [&](size_t i) { return i < s.size() && std::islower(static_cast<unsigned char>(s[i])) != 0; };
  std::string r;
  for (size_t i = 0; i < s.size(); i++) {
    bool starts_word = i > 0 && s[i - 1] != '_' && upper(i) && (!upper(i - 1) || lower(i + 1));
    if (starts_word) r += '_';
    r += char(std::tolower(static_cast<unsigned char>(s[i])));
  }
  return r;
}

// A full name of protobuf as a name of C that is neither reserved nor the library's own.
std::string type_name(std::string_view full) {
  std::string r = dots_to_underscores(full);
  if (r[0] == '_') r = "x" + r;
  bool lower = std::none_of(r.begin(), r.end(), [](char c) { return std::isupper(static_cast<unsigned char>(c)); });
  if (is_reserved(r) || (lower && r.starts_with("zcrpc_"))) r += '_';
  return r;
}

std::string upper_case(std::string s) {
  for (char& c : s) c = char(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

// What shortcuts of a field are called by, behind its name; nullptr: it has none.
const char* shortcut_tail(const schema::Field* f) {
  if (f->repeated() || f->kind != schema::Kind::kMessage) return nullptr;
  switch (f->message->well_known) {
    case schema::WellKnown::kTimestamp: case schema::WellKnown::kDuration: return "_ns";
    case schema::WellKnown::kDoubleValue: case schema::WellKnown::kFloatValue: case schema::WellKnown::kInt64Value:
    case schema::WellKnown::kUInt64Value: case schema::WellKnown::kInt32Value: case schema::WellKnown::kUInt32Value:
    case schema::WellKnown::kBoolValue: case schema::WellKnown::kStringValue: case schema::WellKnown::kBytesValue: return "_value";
    default: return nullptr;
  }
}

class Namer {
 public:
  explicit Namer(FileDecl* f) : f_(f) {}

  void run() {
    f_->ident = claim(file_ident(f_->path, f_->package), {"_file", "_descriptor", "_fingerprints", "_decoders", "_imports", "_message_names"}, "");
    for (MessageDecl& m : f_->messages)
      m.name = claim(type_name(m.type->name), {"", "_writer", "_decode", "_decode_buffer", "_encoder", "_of", "_checked",
                                               "_view", "_write", "_end", "_copy", "_type_in", "_decode_in", "_encoder_in"}, "");
    for (EnumDecl& e : f_->enums) e.name = claim(type_name(e.type->name), {"", "_name", "_from_name"}, "");
    for (ServiceDecl& s : f_->services) s.name = claim(type_name(s.service->name), {"", "_register"}, "");
    for (EnumDecl& e : f_->enums)
      for (EnumValueDecl& v : e.values) v.name = claim(e.name + "_" + v.name, {""}, "");
    for (ExtensionDecl& x : f_->extensions) x.name = claim(type_name(x.field->full_name), {"_NUMBER", "_has", "_count", "_get", "_put", "_put_array", "_put_buffer", "_begin"}, "");
    for (MessageDecl& m : f_->messages) fields(m);
    for (MessageDecl& m : f_->messages) shortcuts(m);
    for (ServiceDecl& s : f_->services) methods(s);
  }

 private:
  void take(const std::string& name) { f_->identifiers.insert(name); }

  // base, or base with underscores, so that none of `before + base + tail` is taken yet; then they are.
  std::string claim(std::string base, std::initializer_list<const char*> tails, const std::string& before) {
    while (std::any_of(tails.begin(), tails.end(), [&](const char* t) { return f_->identifiers.count(before + base + t) != 0; }))
      base += '_';
    for (const char* t : tails) take(before + base + t);
    return base;
  }

  // Every name that a field's accessors and writers may have, whatever its kind.
  void fields(MessageDecl& m) {
    const std::string p = m.name + "_";
    auto names = [&](const std::string& f) {
      return std::vector<std::string>{
          p + upper_case(f), p + f, p + "has_" + f, p + f + "_count", p + f + "_key_at", p + f + "_value_at", p + f + "_find",
          p + "put_" + f, p + "put_" + f + "_array", p + "put_" + f + "_buffer", p + "begin_" + f, p + "end_" + f};
    };
    for (FieldDecl& d : m.fields) {
      d.name = std::string(d.field->name);
      auto all = names(d.name);
      // A constant and a getter of the same name: `FOO` as a field.
      while (std::any_of(all.begin(), all.end(), [&](const std::string& n) { return f_->identifiers.count(n) != 0; }) || all[0] == all[1]) {
        if (all[0] == all[1] && f_->identifiers.count(all[1]) == 0) {
          d.name += "_value";
        } else {
          d.name += '_';
        }
        all = names(d.name);
      }
      for (const std::string& n : all) take(n);
    }
    for (OneofDecl& o : m.oneofs) o.name = claim(std::string(o.oneof->name), {""}, p + "which_");
  }

  // After all fields, none of which loses its name to a shortcut.
  void shortcuts(MessageDecl& m) {
    const std::string p = m.name + "_";
    for (FieldDecl& d : m.fields) {
      const char* tail = shortcut_tail(d.field);
      if (!tail) continue;
      d.helper = d.name + tail;
      while (f_->identifiers.count(p + d.helper) || f_->identifiers.count(p + "put_" + d.helper)) d.helper += '_';
      take(p + d.helper);
      take(p + "put_" + d.helper);
    }
  }

  void methods(ServiceDecl& s) {
    std::set<std::string> members = {"user"};
    for (MethodDecl& d : s.methods) {
      d.name = snake_case(d.method->name);
      const std::string p = s.name + "_";
      auto clash = [&] {
        if (members.count(d.name) || is_reserved(d.name)) return true;
        for (const char* t : {"_open", "_request", "_reply", "_response"})
          if (f_->identifiers.count(p + d.name + t)) return true;
        return f_->identifiers.count(p + "on_" + d.name) != 0;
      };
      while (clash()) d.name += '_';
      members.insert(d.name);
      for (const char* t : {"_open", "_request", "_reply", "_response"}) take(p + d.name + t);
      take(p + "on_" + d.name);
    }
  }

  FileDecl* f_;
};

void add_all(const Model& model, std::string_view path, std::map<std::string_view, const FileDecl*>* files) {
  auto it = model.files.find(path);
  if (it == model.files.end() || !files->emplace(path, &it->second).second) return;
  for (std::string_view p : it->second.imports) add_all(model, p, files);
}

}  // namespace

void name_file(FileDecl* f) { Namer(f).run(); }

std::string check_names(const Model& model, const FileDecl& f) {
  std::map<std::string_view, const FileDecl*> files;
  add_all(model, f.path, &files);
  std::map<std::string_view, const FileDecl*> seen;
  for (const auto& [path, one] : files)
    for (const std::string& name : one->identifiers) {
      auto [it, fresh] = seen.emplace(name, one);
      if (!fresh)
        return std::string(f.path) + ": in C, " + std::string(it->second->path) + " and " + std::string(one->path) +
               " would both declare " + name;
    }
  return {};
}

}  // namespace zcrpc::codegen
