#include "schema/diff.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "schema/builder.h"
#include "schema/declaration.h"
#include "schema/diff_types.h"
#include "schema/fields.h"

namespace zcrpc::schema {

using base::Status;

const char* breaks_name(Breaks b) {
  constexpr const char* kNames[] = {"wire", "json", "source"};
  return kNames[int(b)];
}

namespace {

// The numbers and names that a message or enum reserves, to be asked often.
class ReservedSet {
 public:
  Status read(const Declaration& d) {
    uint32_t ranges = d.kind == Declaration::kMessage ? 9 : 4, names = ranges + 1;
    int32_t past = d.kind == Declaration::kMessage;
    for (Fields f(d.bytes); f.next();) {
      if (f.is_bytes(ranges)) {
        Span s{0, 0};
        for (Fields r(f.bytes()); r.next();) {
          r.integer(1, &s.first);
          r.integer(2, &s.last);
        }
        s.last -= past;
        if (!spans_.push(s)) return Status::no_memory();
      }
      if (f.is_bytes(names) && !names_.push(f.bytes().text())) return Status::no_memory();
    }
    std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) { return a.first < b.first; });
    std::sort(names_.begin(), names_.end());
    return {};
  }
  bool number(int32_t n) const {  // ranges do not overlap
    auto* s = std::upper_bound(spans_.begin(), spans_.end(), n, [](int32_t v, const Span& x) { return v < x.first; });
    return s != spans_.begin() && n <= s[-1].last;
  }
  bool name(std::string_view s) const { return std::binary_search(names_.begin(), names_.end(), s); }

 private:
  struct Span {
    int32_t first, last;
  };
  base::Vec<Span> spans_;
  base::Vec<std::string_view> names_;
};

// Pairs of types that have been taken up, each once.
class Pairs {
 public:
  explicit Pairs(size_t most) : most_(most) {}
  // *is_new: it was not there.
  Status add(uint32_t from, uint32_t to, bool* is_new) {
    uint64_t key = (uint64_t(from) << 32 | to) + 1;
    *is_new = false;
    if ((used_ + 1) * 2 > slots_.size()) ZCRPC_TRY(grow());
    uint64_t* slot = place(slots_, key);
    if (*slot == key) return {};
    if (used_ == most_) return {base::Code::kResourceExhausted, "the versions pair too many types with each other"};
    *slot = key;
    used_++;
    *is_new = true;
    return {};
  }

 private:
  static uint64_t* place(base::Vec<uint64_t>& slots, uint64_t key) {
    size_t mask = slots.size() - 1, i = size_t((key * 0x9E3779B97F4A7C15u) >> 20) & mask;
    while (slots[i] && slots[i] != key) i = (i + 1) & mask;
    return &slots[i];
  }
  Status grow() {
    base::Vec<uint64_t> bigger;
    size_t n = slots_.empty() ? 64 : slots_.size() * 2;
    uint64_t* p = bigger.grow(n);
    if (!p) return Status::no_memory();
    std::fill(p, p + n, uint64_t(0));
    for (uint64_t key : slots_)
      if (key) *place(bigger, key) = key;
    slots_ = std::move(bigger);
    return {};
  }
  base::Vec<uint64_t> slots_;
  size_t used_ = 0, most_;
};

class Diff {
 public:
  Diff(const Schema* from, const Schema* to, base::Arena* arena, base::Vec<Finding>* out)
      : from_(from), to_(to), arena_(arena), out_(out), message_pairs_(4 * (from->messages.size() + to->messages.size()) + 64),
        enum_pairs_(4 * (from->enums.size() + to->enums.size()) + 64) {}

  Status run() {
    for (const Declaration& d : from_->declarations) ZCRPC_TRY(declaration(d));
    // What was paired under other names is compared when all that kept its name has been.
    for (size_t i = 0; i < messages_.size(); i++) ZCRPC_TRY(message(messages_[i].from, messages_[i].to));
    for (size_t i = 0; i < enums_.size(); i++) ZCRPC_TRY(enumeration(enums_[i].from, enums_[i].to));
    return {};
  }

 private:
  Status tell(std::string_view path, Breaks breaks, const char* kind, const char* fmt, ...) __attribute__((format(printf, 5, 6)));

  Status declaration(const Declaration& d);
  Status pair(const Message* a, const Message* b);
  Status pair(const Enum* a, const Enum* b);
  Status types(std::string_view path, const Message* a, const Message* b);
  Status message(const Message* a, const Message* b);
  Status fields(const Message* a, const Message* b);
  Status removed(const Field& f, const Message* b, const ReservedSet& reserved);
  Status extensions(const Message* a, const Message* b);
  Status field(const Field& f, const Field& g);
  Status meaning(const Field& f, const Field& g);
  Status oneofs(const Message* a, const Message* b);
  Status enumeration(const Enum* a, const Enum* b);
  Status values(const Enum* a, const Enum* b, const ReservedSet& reserved);
  Status method(const Method& a, const Method& b);

  const Declaration& declaration_of(const Message* m) const { return m->schema->declarations[m->declaration]; }
  const Declaration& declaration_of(const Enum* e) const { return e->schema->declarations[e->declaration]; }
  // Whether all that d is declared in is there no more either, so that one finding tells it all.
  bool gone_with_outer(const Declaration& d) const {
    const Declaration* u = d.up();
    return u && u->kind == Declaration::kMessage && !to_->message(u->name);
  }

  template <class T>
  struct Pair {
    const T *from, *to;
  };
  const Schema *from_, *to_;
  base::Arena* arena_;
  base::Vec<Finding>* out_;
  Pairs message_pairs_, enum_pairs_;
  base::Vec<Pair<Message>> messages_;
  base::Vec<Pair<Enum>> enums_;
};

Status Diff::tell(std::string_view path, Breaks breaks, const char* kind, const char* fmt, ...) {
  char text[512];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  Finding f{arena_->text(path), breaks, kind, arena_->text({text, size_t(std::clamp(n, 0, int(sizeof text) - 1))})};
  return f.path.data() && f.reason.data() && out_->push(f) ? Status() : Status::no_memory();
}

Status Diff::pair(const Message* a, const Message* b) {
  bool is_new;
  ZCRPC_TRY(message_pairs_.add(a->type_no, b->type_no, &is_new));
  return !is_new || messages_.push({a, b}) ? Status() : Status::no_memory();
}

Status Diff::pair(const Enum* a, const Enum* b) {
  bool is_new;
  ZCRPC_TRY(enum_pairs_.add(a->declaration, b->declaration, &is_new));
  return !is_new || enums_.push({a, b}) ? Status() : Status::no_memory();
}

Status Diff::declaration(const Declaration& d) {
  switch (d.kind) {
    case Declaration::kMessage: {
      auto* a = static_cast<const Message*>(d.what);
      if (a->map_entry) return {};  // its map compares it
      if (const Message* b = to_->message(d.name)) return pair(a, b);
      return gone_with_outer(d) ? Status() : tell(d.name, Breaks::kSource, "message_removed", "there is no message of this name");
    }
    case Declaration::kEnum:
      if (const Enum* b = to_->enumeration(d.name)) return pair(static_cast<const Enum*>(d.what), b);
      return gone_with_outer(d) ? Status() : tell(d.name, Breaks::kSource, "enum_removed", "there is no enum of this name");
    case Declaration::kService: {
      const Declaration* b = find_declaration(to_, d.name);
      if (b && b->kind == Declaration::kService) return {};
      return tell(d.name, Breaks::kWire, "service_removed", "its methods are not served any more");
    }
    case Declaration::kMethod: {
      auto* a = static_cast<const Method*>(d.what);
      if (const Method* b = to_->method(d.name)) return method(*a, *b);
      const Declaration* service = find_declaration(to_, d.up()->name);
      if (!service || service->kind != Declaration::kService) return {};
      return tell(d.name, Breaks::kWire, "method_removed", "calls of it end with unimplemented");
    }
    default: return {};
  }
}

Status Diff::method(const Method& a, const Method& b) {
  std::string_view path = a.path.substr(1);
  constexpr uint32_t kStreams = kClientStream | kServerStream;
  if ((a.flags ^ b.flags) & kStreams)
    ZCRPC_TRY(tell(path, Breaks::kWire, "stream_changed", "was %s, is %s", stream_name(a.flags), stream_name(b.flags)));
  if (a.flags & ~b.flags & kNoSideEffects)
    ZCRPC_TRY(tell(path, Breaks::kWire, "idempotency_changed", "no longer without side effects: Connect's GET requests are refused"));
  else if ((a.flags ^ b.flags) & ~kStreams)
    ZCRPC_TRY(tell(path, Breaks::kSource, "idempotency_changed", "another idempotency level"));
  ZCRPC_TRY(types(path, a.input, b.input));
  return types(path, a.output, b.output);
}

Status Diff::types(std::string_view path, const Message* a, const Message* b) {
  if (a->name != b->name && !a->map_entry)
    ZCRPC_TRY(tell(path, Breaks::kSource, "type_renamed", "was %.*s, is %.*s", ZCRPC_NAME(a->name), ZCRPC_NAME(b->name)));
  return pair(a, b);
}

Status Diff::message(const Message* a, const Message* b) {
  if (a->message_set != b->message_set)
    return tell(a->name, Breaks::kWire, "message_set_changed", b->message_set ? "became a message set" : "is no message set any more");
  ZCRPC_TRY(fields(a, b));
  ZCRPC_TRY(extensions(a, b));
  return oneofs(a, b);
}

Status Diff::fields(const Message* a, const Message* b) {
  ReservedSet before, now;
  ZCRPC_TRY(before.read(declaration_of(a)));
  ZCRPC_TRY(now.read(declaration_of(b)));
  for (const Field& f : a->fields) {
    const Field* g = b->by_number(f.number);
    if (g) {
      ZCRPC_TRY(field(f, *g));
    } else if ((g = b->extension(f.number))) {
      ZCRPC_TRY(tell(f.full_name, Breaks::kJson, "field_now_extension", "is the extension %.*s", ZCRPC_NAME(g->full_name)));
      ZCRPC_TRY(meaning(f, *g));
    } else {
      ZCRPC_TRY(removed(f, b, now));
    }
  }
  for (const Field& g : b->fields) {
    if (a->by_number(g.number)) continue;
    if (g.required) ZCRPC_TRY(tell(g.full_name, Breaks::kWire, "required_added", "new and required: older messages lack it"));
    if (before.number(int32_t(g.number)))
      ZCRPC_TRY(tell(g.full_name, Breaks::kWire, "reserved_used", "the number %u was reserved", g.number));
    else if (before.name(g.name))
      ZCRPC_TRY(tell(g.full_name, Breaks::kJson, "reserved_used", "the name was reserved"));
  }
  return {};
}

Status Diff::removed(const Field& f, const Message* b, const ReservedSet& now) {
  if (f.required) ZCRPC_TRY(tell(f.full_name, Breaks::kWire, "required_removed", "was required: older readers insist on it"));
  if (!now.number(int32_t(f.number)) && !b->in_extension_range(f.number))
    return tell(f.full_name, Breaks::kWire, "field_removed", "the number %u is not reserved", f.number);
  if (!now.name(f.name)) return tell(f.full_name, Breaks::kJson, "field_removed", "the name is not reserved");
  return tell(f.full_name, Breaks::kSource, "field_removed", "number and name are reserved");
}

Status Diff::extensions(const Message* a, const Message* b) {
  for (const Field* f : a->extensions) {
    const Field* g = b->extension(f->number);
    if (g) {
      ZCRPC_TRY(field(*f, *g));
    } else if ((g = b->by_number(f->number))) {
      ZCRPC_TRY(tell(f->full_name, Breaks::kJson, "extension_now_field", "is the field %.*s", ZCRPC_NAME(g->full_name)));
      ZCRPC_TRY(meaning(*f, *g));
    } else {
      ZCRPC_TRY(tell(f->full_name, Breaks::kJson, "extension_removed", "of %.*s, number %u: it is an unknown field now", ZCRPC_NAME(a->name), f->number));
    }
  }
  // Both lists ascend: each old range must lie in one of the new ones, or in several that touch.
  size_t k = 0;
  for (Range r : a->extension_ranges) {
    while (k < b->extension_ranges.size() && b->extension_ranges[k].end <= r.start) k++;
    uint32_t at = r.start;
    for (size_t i = k; i < b->extension_ranges.size() && b->extension_ranges[i].start <= at && at < r.end; i++) at = b->extension_ranges[i].end;
    if (at < r.end)
      ZCRPC_TRY(tell(a->name, Breaks::kSource, "extension_range_removed", "%u to %u took extensions; now %u is for none", r.start, r.end - 1, at));
  }
  return {};
}

Status Diff::field(const Field& f, const Field& g) {
  if (f.extension ? f.full_name != g.full_name : f.json_name != g.json_name)
    ZCRPC_TRY(tell(f.full_name, Breaks::kJson, f.extension ? "name_changed" : "json_name_changed", "\"%.*s\" became \"%.*s\"",
                   ZCRPC_NAME(f.extension ? f.full_name : f.json_name), ZCRPC_NAME(g.extension ? g.full_name : g.json_name)));
  else if (f.name != g.name)
    ZCRPC_TRY(tell(f.full_name, Breaks::kJson, "name_changed", "\"%.*s\" became \"%.*s\"", ZCRPC_NAME(f.name), ZCRPC_NAME(g.name)));
  return meaning(f, g);
}

// All about a field but its name.
Status Diff::meaning(const Field& f, const Field& g) {
  if (f.shape != g.shape) {
    bool entries = f.repeated() && g.repeated();  // a map is a repeated message on the wire
    ZCRPC_TRY(tell(f.full_name, entries ? Breaks::kJson : Breaks::kWire, "cardinality_changed", "was %s, is %s", shape_name(f), shape_name(g)));
  }
  if (f.kind != g.kind) {
    Breaks breaks = kinds_break(f, g);
    ZCRPC_TRY(tell(f.full_name, breaks, "type_changed", "was %s, is %s", kind_name(f.kind), kind_name(g.kind)));
    if (breaks == Breaks::kWire) return {};
  }
  if (f.required != g.required)
    ZCRPC_TRY(tell(f.full_name, Breaks::kWire, g.required ? "required_added" : "required_removed", "%s",
                   g.required ? "became required: older messages may lack it" : "is not required any more: older readers insist on it"));
  else if (!f.repeated() && !g.repeated() && f.presence != g.presence && !f.oneof && !g.oneof)
    ZCRPC_TRY(tell(f.full_name, Breaks::kSource, "presence_changed", "%s", g.presence ? "tells absence from zero now" : "does not tell absence from zero any more"));
  if (f.kind == Kind::kString && g.kind == Kind::kString && g.utf8 && !f.utf8)
    ZCRPC_TRY(tell(f.full_name, Breaks::kWire, "utf8_checked", "must be UTF-8 now"));
  if (!f.repeated() && !g.repeated() && f.kind == g.kind && !is_message(f.kind) &&
      (f.default_bits != g.default_bits || f.default_bytes.text() != g.default_bytes.text()))
    ZCRPC_TRY(tell(f.full_name, Breaks::kWire, "default_changed", "what is absent reads as another value"));
  if (f.message && g.message) return types(f.full_name, f.message, g.message);
  if (f.enumeration && g.enumeration) {
    if (f.enumeration->name != g.enumeration->name)
      ZCRPC_TRY(tell(f.full_name, Breaks::kSource, "type_renamed", "was %.*s, is %.*s", ZCRPC_NAME(f.enumeration->name), ZCRPC_NAME(g.enumeration->name)));
    return pair(f.enumeration, g.enumeration);
  }
  return {};
}

// What counts is which fields exclude each other. A field outside a oneof is a group of its own; only fields that both
// versions have are looked at.
Status Diff::oneofs(const Message* a, const Message* b) {
  for (const Oneof& o : a->oneofs) {
    const Field* first = nullptr;
    bool parted = false;
    for (const Field* f : o.fields) {
      const Field* g = b->by_number(f->number);
      if (!g) continue;
      if (!first) first = g;
      if (g == first || (g->oneof && g->oneof == first->oneof)) continue;
      parted = true;
      ZCRPC_TRY(tell(f->full_name, Breaks::kWire, "oneof_left", "does not exclude %.*s any more", ZCRPC_NAME(first->name)));
    }
    if (!first || parted) continue;
    const char* name = o.name.data();
    if (!first->oneof) ZCRPC_TRY(tell(first->full_name, Breaks::kSource, "oneof_left", "was alone in the oneof %.160s", name));
    else if (first->oneof->name != o.name) ZCRPC_TRY(tell(first->full_name, Breaks::kSource, "oneof_renamed", "the oneof %.160s is called %.160s", name, first->oneof->name.data()));
  }
  for (const Oneof& o : b->oneofs) {
    const Field* first = nullptr;
    for (const Field* g : o.fields) {
      const Field* f = a->by_number(g->number);
      if (!f) continue;
      if (!first) {
        first = f;
        if (!f->oneof) ZCRPC_TRY(tell(f->full_name, Breaks::kSource, "oneof_joined", "is in the oneof %.160s", o.name.data()));
      } else if (!f->oneof || f->oneof != first->oneof) {
        ZCRPC_TRY(tell(f->full_name, Breaks::kWire, "oneof_joined", "excludes %.*s in the oneof %.160s", ZCRPC_NAME(first->name), o.name.data()));
      }
    }
  }
  return {};
}

Status Diff::enumeration(const Enum* a, const Enum* b) {
  if (a->closed != b->closed)
    ZCRPC_TRY(tell(a->name, Breaks::kWire, "enum_openness_changed", "%s", b->closed ? "is closed: numbers it does not know become unknown fields" : "is open now"));
  if (a->values[0].number != b->values[0].number)
    ZCRPC_TRY(tell(a->name, Breaks::kWire, "default_changed", "the first value was %d, is %d", a->values[0].number, b->values[0].number));
  ReservedSet before, now;
  ZCRPC_TRY(before.read(declaration_of(a)));
  ZCRPC_TRY(now.read(declaration_of(b)));
  ZCRPC_TRY(values(a, b, now));
  for (const EnumValue& v : b->values) {
    if (a->has(v.number)) continue;
    std::string_view path = declaration_of(b).schema->declarations[b->declaration + 1 + uint32_t(&v - b->values.data())].name;
    if (before.number(v.number)) ZCRPC_TRY(tell(path, Breaks::kWire, "reserved_used", "the number %d was reserved", v.number));
    else if (before.name(v.name)) ZCRPC_TRY(tell(path, Breaks::kJson, "reserved_used", "the name was reserved"));
  }
  return {};
}

Status Diff::values(const Enum* a, const Enum* b, const ReservedSet& now) {
  for (size_t i = 0; i < a->values.size(); i++) {
    const EnumValue& v = a->values[i];
    std::string_view path = a->schema->declarations[a->declaration + 1 + uint32_t(i)].name;
    const EnumValue* w = b->by_name(v.name);
    if (w && w->number == v.number) continue;
    if (w) {
      ZCRPC_TRY(tell(path, Breaks::kWire, "enum_value_renumbered", "was %d, is %d", v.number, w->number));
    } else if (const EnumValue* same = b->by_number(v.number)) {
      ZCRPC_TRY(tell(path, Breaks::kJson, "enum_value_renamed", "%d is called %.*s", v.number, ZCRPC_NAME(same->name)));
    } else if (!now.number(v.number)) {
      ZCRPC_TRY(tell(path, Breaks::kWire, "enum_value_removed", "the number %d is not reserved", v.number));
    } else if (!now.name(v.name)) {
      ZCRPC_TRY(tell(path, Breaks::kJson, "enum_value_removed", "the name is not reserved"));
    } else {
      ZCRPC_TRY(tell(path, Breaks::kSource, "enum_value_removed", "number and name are reserved"));
    }
  }
  return {};
}

}  // namespace

Status diff(const Schema* from, const Schema* to, base::Arena* arena, base::Vec<Finding>* out) { return Diff(from, to, arena, out).run(); }

}  // namespace zcrpc::schema
