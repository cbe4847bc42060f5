// What protoc refuses, refused here too: a schema that was read can be trusted by everything above it.
#include <algorithm>

#include "schema/builder.h"

namespace zcrpc::schema {

using base::Status;

namespace {

constexpr int32_t kMaxNumber = int32_t(wire::kMaxFieldNumber);
constexpr int32_t kFirstReserved = 19000, kLastReserved = 19999;

// A reserved or extension range, both ends included.
struct Span {
  int32_t first, last;
  bool extension;
};

bool by_first(const Span& a, const Span& b) { return a.first != b.first ? a.first < b.first : a.last < b.last; }
const char* kind_of(const Span& s) { return s.extension ? "extension" : "reserved"; }

// foo_bar and fooBar are one JSON name. `custom`: written as json_name, and not just what it would have been anyway.
struct JsonName {
  std::string_view name;
  const Field* field;
  bool custom;
};

}  // namespace

Status Builder::check_no_features(const FileDecl& f, std::string_view symbol, const Features& own) {
  if (own.any()) return wrong(f, symbol, "features can be set in edition files only");
  return {};
}

Status Builder::check_field(const FileDecl& f, const FieldDecl& d) {
  const Field* x = d.field;
  std::string_view name = x->full_name;
  bool repeated = x->repeated(), set_member = x->extension && x->parent->message_set;
  if (d.number < 1 || (d.number > kMaxNumber && !set_member))
    return wrong(f, name, "field number %d is not allowed (1 to %d)", d.number, kMaxNumber);
  if (d.number >= kFirstReserved && d.number <= kLastReserved && !set_member)
    return wrong(f, name, "field numbers %d to %d are reserved for protobuf itself", kFirstReserved, kLastReserved);

  if (f.legacy()) {
    bool proto3 = f.edition == kEditionProto3;
    if (proto3 && d.label == kLabelRequired) return wrong(f, name, "required fields are not allowed in proto3");
    if (proto3 && x->kind == Kind::kGroup) return wrong(f, name, "groups are not allowed in proto3");
    if (proto3 && d.has_default) return wrong(f, name, "default values are not allowed in proto3");
    if (d.proto3_optional && (!proto3 || d.label != kLabelOptional)) return wrong(f, name, "proto3_optional is for optional fields of proto3 files");
    if (d.packed && !(repeated && is_packable(x->kind))) return wrong(f, name, "packed is for repeated numbers only");
  } else {
    if (d.label == kLabelRequired) return wrong(f, name, "required is not allowed in edition files; it is the feature field_presence = LEGACY_REQUIRED");
    if (d.type == int32_t(Kind::kGroup)) return wrong(f, name, "groups are not allowed in edition files; they are the feature message_encoding = DELIMITED");
    if (d.has_packed) return wrong(f, name, "packed is not allowed in edition files; it is the feature repeated_field_encoding");
    if (d.proto3_optional) return wrong(f, name, "proto3_optional is for optional fields of proto3 files");
  }
  if (x->extension && (d.label == kLabelRequired || d.resolved.presence == Features::kLegacyRequired))
    return wrong(f, name, "an extension cannot be required");
  if (d.has_oneof && d.label != kLabelOptional) return wrong(f, name, "a field of a oneof cannot be repeated or required");
  if (d.has_default && (repeated || is_message(x->kind))) return wrong(f, name, "a %s cannot have a default value", repeated ? "repeated field" : "message");
  if (!repeated && !x->presence) {
    if (d.has_default) return wrong(f, name, "a field with implicit presence cannot have a default value");
    if (x->closed_enum) return wrong(f, name, "a field with implicit presence cannot have the closed enum %.*s", ZCRPC_NAME(x->enumeration->name));
  }
  if (x->message && x->message->map_entry) {
    // Only the map field that the entry was made for may use it.
    const Message* outer = messages_[x->message->type_no].outer;
    if (x->extension || x->shape != Shape::kMap || outer != x->parent)
      return wrong(f, name, "%.*s is a map entry, and this is not its map", ZCRPC_NAME(x->message->name));
  }
  return {};
}

Status Builder::check_enum(const EnumItem& i) {
  const Enum* e = i.made;
  const EnumDecl& d = *i.decl;
  if (!e->closed && e->values[0].number != 0) return wrong(*i.file, e->name, "the first value of an open enum must be 0");
  if (e->number_order.size() < e->values.size() && !d.allow_alias) {
    // Some numbers are aliases: name the first that repeats one.
    for (const EnumValue& v : e->values) {
      const EnumValue* first = e->by_number(v.number);
      if (first != &v)
        return wrong(*i.file, e->name, "%.*s and %.*s have the same number %d, and allow_alias is not set", ZCRPC_NAME(first->name),
                     ZCRPC_NAME(v.name), v.number);
    }
  }
  size_t n = d.reserved.size();
  auto* spans = scratch_.array<Span>(n + 1);
  auto* names = scratch_.array<std::string_view>(d.reserved_names.size() + 1);
  if (!spans || !names) return Status::no_memory();
  for (size_t k = 0; k < n; k++) {
    spans[k] = {d.reserved[k].start, d.reserved[k].end, false};
    if (spans[k].last < spans[k].first) return wrong(*i.file, e->name, "reserved range %d to %d ends before it starts", spans[k].first, spans[k].last);
  }
  std::sort(spans, spans + n, by_first);
  for (size_t k = 1; k < n; k++)
    if (spans[k].first <= spans[k - 1].last)
      return wrong(*i.file, e->name, "reserved ranges %d to %d and %d to %d overlap", spans[k - 1].first, spans[k - 1].last, spans[k].first, spans[k].last);
  std::copy(d.reserved_names.begin(), d.reserved_names.end(), names);
  std::sort(names, names + d.reserved_names.size());
  for (const EnumValue& v : e->values) {
    const Span* s = std::upper_bound(spans, spans + n, v.number, [](int32_t a, const Span& b) { return a < b.first; });
    if (s != spans && v.number <= s[-1].last) return wrong(*i.file, e->name, "%.*s uses the reserved number %d", ZCRPC_NAME(v.name), v.number);
    if (std::binary_search(names, names + d.reserved_names.size(), v.name)) return wrong(*i.file, e->name, "the name %.*s is reserved", ZCRPC_NAME(v.name));
  }
  return {};
}

// Before extensions are linked: fills Message::extension_ranges, in order.
Status Builder::check_ranges(const MessageItem& i) {
  const MessageDecl& d = *i.decl;
  Message* m = i.message;
  const FileDecl& f = *i.file;
  size_t n = d.extension_ranges.size() + d.reserved.size(), k = 0;
  auto* spans = scratch_.array<Span>(n + 1);
  auto* ranges = make_array<Range>(d.extension_ranges.size(), &schema_->arena);
  if (!spans || !ranges) return Status::no_memory();
  // Numbers in a message set are type ids, which use all of an int32.
  int32_t most = m->message_set ? INT32_MAX - 1 : kMaxNumber;
  for (const RangeDecl& r : d.extension_ranges) {
    if (r.start < 1 || r.end <= r.start || r.end - 1 > most)
      return wrong(f, m->name, "extension range %d to %lld is not allowed (1 to %d)", r.start, static_cast<long long>(r.end) - 1, most);
    spans[k++] = {r.start, r.end - 1, true};
  }
  for (const RangeDecl& r : d.reserved) {
    if (r.start < 1 || r.end <= r.start || (r.end - 1 > kMaxNumber && !m->message_set))
      return wrong(f, m->name, "reserved range %d to %lld is not allowed (1 to %d)", r.start, static_cast<long long>(r.end) - 1, kMaxNumber);
    spans[k++] = {r.start, r.end - 1, false};
  }
  if (!d.extension_ranges.empty() && f.edition == kEditionProto3) return wrong(f, m->name, "extension ranges are not allowed in proto3");
  std::sort(spans, spans + n, by_first);
  size_t made = 0;
  for (k = 0; k < n; k++) {
    if (k && spans[k].first <= spans[k - 1].last)
      return wrong(f, m->name, "%s range %d to %d overlaps %s range %d to %d", kind_of(spans[k]), spans[k].first, spans[k].last,
                   kind_of(spans[k - 1]), spans[k - 1].first, spans[k - 1].last);
    if (spans[k].extension) ranges[made++] = {uint32_t(spans[k].first), uint32_t(spans[k].last) + 1};
  }
  m->extension_ranges = {ranges, made};
  k = 0;
  for (const Field& x : m->fields) {  // both ascend
    auto number = int32_t(x.number);
    while (k < n && spans[k].last < number) k++;
    if (k < n && spans[k].first <= number)
      return wrong(f, x.full_name, "field number %d lies in the %s range %d to %d", number, kind_of(spans[k]), spans[k].first, spans[k].last);
  }
  return {};
}

Status Builder::check_reserved_names(const MessageItem& i) {
  const auto& reserved = i.decl->reserved_names;
  auto* names = scratch_.array<std::string_view>(reserved.size() + 1);
  if (!names) return Status::no_memory();
  std::copy(reserved.begin(), reserved.end(), names);
  std::sort(names, names + reserved.size());
  for (const Field& x : i.message->fields)
    if (std::binary_search(names, names + reserved.size(), x.name)) return wrong(*i.file, x.full_name, "the name is reserved");
  return {};
}

// Under ALLOW two fields may not share a JSON name, nor the names that they would have without json_name. Under
// LEGACY_BEST_EFFORT only two written json_names may not be the same.
Status Builder::check_json_names(const MessageItem& i) {
  bool strict = i.decl->resolved.json == Features::kAllow && !i.decl->legacy_json;
  size_t n = i.decl->fields.size();
  auto* names = scratch_.array<JsonName>(n + 1);
  auto* defaults = scratch_.array<JsonName>(n + 1);
  if (!names || !defaults) return Status::no_memory();
  for (size_t k = 0; k < n; k++) {
    const Field* x = i.decl->fields[k].field;
    auto* p = static_cast<char*>(scratch_.alloc(x->name.size() + 1));
    if (!p) return Status::no_memory();
    defaults[k] = {{p, json_name_of(x->name, p)}, x, false};
    names[k] = {x->json_name, x, x->json_name != defaults[k].name};
  }
  for (JsonName* list : {defaults, names}) {
    std::sort(list, list + n, [](const JsonName& a, const JsonName& b) {
      if (a.name != b.name) return a.name < b.name;
      if (a.custom != b.custom) return a.custom > b.custom;
      return a.field < b.field;
    });
    for (size_t k = 1; k < n; k++) {
      const JsonName &a = list[k - 1], &b = list[k];
      if (a.name == b.name && (strict || (a.custom && b.custom)))
        return wrong(*i.file, b.field->full_name, "the JSON name \"%.*s\" is already used by %.*s", ZCRPC_NAME(b.name), ZCRPC_NAME(a.field->name));
    }
  }
  return {};
}

Status Builder::check_map_entry(const MessageItem& i) {
  const Message* m = i.message;
  auto malformed = [&](const char* why) { return wrong(*i.file, m->name, "malformed map entry: %s", why); };
  if (!i.outer) return malformed("it is not nested in the message that has the map");
  if (m->fields.size() != 2 || m->fields[0].number != 1 || m->fields[1].number != 2) return malformed("its fields are not 1 and 2");
  const Field &key = m->fields[0], &value = m->fields[1];
  if (key.name != "key" || value.name != "value") return malformed("its fields are not called key and value");
  if (key.repeated() || value.repeated() || key.required || value.required || !m->oneofs.empty()) return malformed("key and value are not plain optional fields");
  if (!i.decl->nested.empty() || !i.decl->enums.empty() || !i.decl->extensions.empty() || !m->extension_ranges.empty()) return malformed("it declares more than its two fields");
  if (is_message(key.kind) || key.kind == Kind::kEnum || key.kind == Kind::kBytes || key.kind == Kind::kDouble || key.kind == Kind::kFloat)
    return malformed("keys are integers, bool or string");
  if (value.kind == Kind::kGroup) return malformed("its value is a group");
  if (value.kind == Kind::kEnum && value.enumeration->values[0].number != 0) return malformed("the enum of its values does not start with 0");
  return {};
}

Status Builder::check_message(const MessageItem& i) {
  const Message* m = i.message;
  if (m->message_set) {
    if (i.file->edition == kEditionProto3) return wrong(*i.file, m->name, "message sets are not allowed in proto3");
    if (!m->fields.empty()) return wrong(*i.file, m->name, "a message set cannot have fields, only extensions");
  }
  if (m->map_entry) ZCRPC_TRY(check_map_entry(i));
  ZCRPC_TRY(check_reserved_names(i));
  return check_json_names(i);
}

}  // namespace zcrpc::schema
