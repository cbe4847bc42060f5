// Descriptor bytes to declarations. Nothing is checked here but the wire format and the nesting of types.
#include <algorithm>
#include <new>

#include "base/vec.h"
#include "schema/decl.h"
#include "schema/fields.h"

namespace zcrpc::schema {
namespace {

using base::Code;
using base::Slice;
using base::Status;

constexpr uint32_t kMaxNesting = 64;  // of types in types: what protoc itself can read is not much deeper

class Parser {
 public:
  Parser(const uint8_t* start, base::Arena* scratch, size_t limit) : start_(start), scratch_(scratch), limit_(limit) {}

  Status file(Slice s, FileDecl* d) {
    d->bytes = s;
    // The name first, whatever the order of fields: errors tell it.
    for (Fields f(s); f.next();) f.text(1, &d->name);
    file_ = d->name;
    List<std::string_view> deps;
    List<MessageDecl> messages;
    List<EnumDecl> enums;
    List<ServiceDecl> services;
    List<FieldDecl> extensions;
    if (!lists(s, {{3, &deps}, {4, &messages}, {5, &enums}, {6, &services}, {7, &extensions}})) return no_room();
    Fields f(s);
    while (f.next()) {
      f.text(2, &d->package);
      f.text(12, &d->syntax);
      f.integer(14, &d->edition);
      if (f.is_bytes(3)) *deps.next() = f.bytes().text();
      if (f.is_bytes(4)) ZCRPC_TRY(message(f.bytes(), 1, messages.next()));
      if (f.is_bytes(5)) ZCRPC_TRY(enumeration(f.bytes(), enums.next()));
      if (f.is_bytes(6)) ZCRPC_TRY(service(f.bytes(), services.next()));
      if (f.is_bytes(7)) ZCRPC_TRY(field(f.bytes(), extensions.next()));
      if (f.is_bytes(8)) ZCRPC_TRY(options(f.bytes(), 50, &d->features, [](Fields&) {}));
    }
    d->dependencies = deps.items;
    d->messages = messages.items;
    d->enums = enums.items;
    d->services = services.items;
    d->extensions = extensions.items;
    return check(f);
  }

  Status check(const Fields& f) const {
    if (!f.broken()) return {};
    int name = int(file_.size() < 200 ? file_.size() : 200);
    return Status::format(Code::kInvalidArgument, "%.*s%sbroken descriptor: %s", name, file_.data(), name ? ": " : "",
                          wire::fault_text(f.fault()))
        .at(f.at() - start_);
  }

 private:
  // Places for the items of one repeated field, counted before they are read.
  template <class T>
  struct List {
    std::span<T> items;
    size_t used = 0;
    T* next() { return &items[used++]; }
    bool make(base::Arena* a, size_t n) {
      T* p = n ? a->array<T>(n) : nullptr;
      if (n && !p) return false;
      for (size_t i = 0; i < n; i++) new (p + i) T();
      items = {p, n};
      return true;
    }
  };
  // One row of lists(): which field number goes to which list.
  struct Row {
    template <class T>
    Row(uint32_t n, List<T>* l) : number(n), size(sizeof(T)), list(l), make([](void* p, base::Arena* a, size_t k) { return static_cast<List<T>*>(p)->make(a, k); }) {}
    uint32_t number;
    size_t size;
    void* list;
    bool (*make)(void*, base::Arena*, size_t);
  };
  template <size_t N>
  bool lists(Slice s, const Row (&rows)[N]) {
    size_t counts[N] = {};
    for (Fields f(s); f.next();)
      for (size_t i = 0; i < N; i++) counts[i] += f.is_bytes(rows[i].number);
    for (size_t i = 0; i < N; i++) {
      // Two bytes can ask for a whole declaration: what honest descriptors never need is refused before it is taken.
      over_limit_ = counts[i] > (limit_ - std::min(limit_, scratch_->reserved())) / rows[i].size;
      if (over_limit_ || !rows[i].make(rows[i].list, scratch_, counts[i])) return false;
    }
    return true;
  }
  Status no_room() const {
    if (!over_limit_) return Status::no_memory();
    return {Code::kResourceExhausted, "the descriptors declare too much for their size"};
  }

  // An options message: its features under `number`, the rest to `other`. It may come in several pieces.
  template <class F>
  Status options(Slice s, uint32_t number, Features* features, F&& other) {
    Fields f(s);
    while (f.next()) {
      if (f.is_bytes(number))
        ZCRPC_TRY(feature_set(f.bytes(), features));
      else
        other(f);
    }
    return check(f);
  }

  Status feature_set(Slice s, Features* out) {
    static constexpr struct {
      const char* name;
      uint8_t Features::*member;
      uint8_t least, most;
    } kKnown[] = {{"field_presence", &Features::presence, 1, 3}, {"enum_type", &Features::enum_type, 1, 2},
                  {"repeated_field_encoding", &Features::repeated, 1, 2}, {"utf8_validation", &Features::utf8, 2, 3},
                  {"message_encoding", &Features::message, 1, 2}, {"json_format", &Features::json, 1, 2}};
    Fields f(s);
    while (f.next()) {
      for (uint32_t i = 0; i < 6; i++) {
        if (!f.is_varint(i + 1)) continue;
        const auto& k = kKnown[i];
        if (f.varint() < k.least || f.varint() > k.most)
          return Status::format(Code::kInvalidArgument, "%.*s: feature %s has the unknown value %llu", int(file_.size() < 200 ? file_.size() : 200),
                                file_.data(), k.name, static_cast<unsigned long long>(f.varint()))
              .at(f.at() - start_);
        out->*k.member = uint8_t(f.varint());
      }
    }
    return check(f);
  }

  Status message(Slice s, uint32_t depth, MessageDecl* d) {
    d->bytes = s;
    if (depth > kMaxNesting)
      return Status::format(Code::kInvalidArgument, "%.*s: types are nested more than %u deep", int(file_.size() < 200 ? file_.size() : 200),
                            file_.data(), kMaxNesting)
          .at(s.begin() - start_);
    List<FieldDecl> fields, extensions;
    List<MessageDecl> nested;
    List<EnumDecl> enums;
    List<OneofDecl> oneofs;
    List<RangeDecl> ranges, reserved;
    List<std::string_view> names;
    if (!lists(s, {{2, &fields}, {3, &nested}, {4, &enums}, {5, &ranges}, {6, &extensions}, {8, &oneofs}, {9, &reserved}, {10, &names}}))
      return no_room();
    Fields f(s);
    while (f.next()) {
      f.text(1, &d->name);
      if (f.is_bytes(2)) ZCRPC_TRY(field(f.bytes(), fields.next()));
      if (f.is_bytes(3)) ZCRPC_TRY(message(f.bytes(), depth + 1, nested.next()));
      if (f.is_bytes(4)) ZCRPC_TRY(enumeration(f.bytes(), enums.next()));
      if (f.is_bytes(5)) ZCRPC_TRY(range(f.bytes(), ranges.next()));
      if (f.is_bytes(6)) ZCRPC_TRY(field(f.bytes(), extensions.next()));
      if (f.is_bytes(7))
        ZCRPC_TRY(options(f.bytes(), 12, &d->features, [&](Fields& o) {
          o.truth(1, &d->message_set);
          o.truth(7, &d->map_entry);
          o.truth(11, &d->legacy_json);
        }));
      if (f.is_bytes(8)) ZCRPC_TRY(oneof(f.bytes(), oneofs.next()));
      if (f.is_bytes(9)) ZCRPC_TRY(range(f.bytes(), reserved.next()));
      if (f.is_bytes(10)) *names.next() = f.bytes().text();
    }
    d->fields = fields.items;
    d->extensions = extensions.items;
    d->nested = nested.items;
    d->enums = enums.items;
    d->oneofs = oneofs.items;
    d->extension_ranges = ranges.items;
    d->reserved = reserved.items;
    d->reserved_names = names.items;
    return check(f);
  }

  Status field(Slice s, FieldDecl* d) {
    d->bytes = s;
    Fields f(s);
    while (f.next()) {
      f.text(1, &d->name);
      f.text(2, &d->extendee, &d->has_extendee);
      f.integer(3, &d->number);
      f.integer(4, &d->label);
      f.integer(5, &d->type);
      f.text(6, &d->type_name);
      f.text(7, &d->default_value, &d->has_default);
      f.integer(9, &d->oneof_index, &d->has_oneof);
      f.text(10, &d->json_name, &d->has_json_name);
      f.truth(17, &d->proto3_optional);
      if (f.is_bytes(8))
        ZCRPC_TRY(options(f.bytes(), 21, &d->features, [&](Fields& o) {
          o.truth(2, &d->packed, &d->has_packed);
          o.truth(16, &d->debug_redact);
        }));
    }
    return check(f);
  }

  Status oneof(Slice s, OneofDecl* d) {
    d->bytes = s;
    Fields f(s);
    while (f.next()) {
      f.text(1, &d->name);
      if (f.is_bytes(2)) ZCRPC_TRY(options(f.bytes(), 1, &d->features, [](Fields&) {}));
    }
    return check(f);
  }

  Status range(Slice s, RangeDecl* d) {
    d->bytes = s;
    Fields f(s);
    while (f.next()) {
      f.integer(1, &d->start);
      f.integer(2, &d->end);
    }
    return check(f);
  }

  Status enumeration(Slice s, EnumDecl* d) {
    d->bytes = s;
    List<EnumValueDecl> values;
    List<RangeDecl> reserved;
    List<std::string_view> names;
    if (!lists(s, {{2, &values}, {4, &reserved}, {5, &names}})) return no_room();
    Fields f(s);
    while (f.next()) {
      f.text(1, &d->name);
      if (f.is_bytes(2)) {
        EnumValueDecl* v = values.next();
        v->bytes = f.bytes();
        Fields g(f.bytes());
        while (g.next()) {
          g.text(1, &v->name);
          g.integer(2, &v->number);
        }
        ZCRPC_TRY(check(g));
      }
      if (f.is_bytes(3)) ZCRPC_TRY(options(f.bytes(), 7, &d->features, [&](Fields& o) { o.truth(2, &d->allow_alias); }));
      if (f.is_bytes(4)) ZCRPC_TRY(range(f.bytes(), reserved.next()));
      if (f.is_bytes(5)) *names.next() = f.bytes().text();
    }
    d->values = values.items;
    d->reserved = reserved.items;
    d->reserved_names = names.items;
    return check(f);
  }

  Status service(Slice s, ServiceDecl* d) {
    d->bytes = s;
    List<MethodDecl> methods;
    if (!lists(s, {{2, &methods}})) return no_room();
    Fields f(s);
    while (f.next()) {
      f.text(1, &d->name);
      if (!f.is_bytes(2)) continue;
      MethodDecl* m = methods.next();
      m->bytes = f.bytes();
      Fields g(f.bytes());
      while (g.next()) {
        g.text(1, &m->name);
        g.text(2, &m->input);
        g.text(3, &m->output);
        g.truth(5, &m->client_stream);
        g.truth(6, &m->server_stream);
        Features unused;
        if (g.is_bytes(4)) ZCRPC_TRY(options(g.bytes(), 35, &unused, [&](Fields& o) { o.integer(34, &m->idempotency); }));
      }
      ZCRPC_TRY(check(g));
    }
    d->methods = methods.items;
    return check(f);
  }

  const uint8_t* start_;
  base::Arena* scratch_;
  size_t limit_;
  bool over_limit_ = false;
  std::string_view file_ = "";
};

}  // namespace

base::Status parse_file(base::Slice bytes, const uint8_t* start, base::Arena* scratch, size_t limit, FileDecl* out) {
  return Parser(start, scratch, limit).file(bytes, out);
}

base::Status split_set(base::Slice set, base::Vec<base::Slice>* files) {
  if (set.size > wire::kMaxMessage) return {Code::kInvalidArgument, "descriptor set of more than 2 GiB"};
  Fields f(set);
  while (f.next())
    if (f.is_bytes(1) && !files->push(f.bytes())) return Status::no_memory();
  return Parser(set.begin(), nullptr, 0).check(f);
}

}  // namespace zcrpc::schema
