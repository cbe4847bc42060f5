// The second step: names of types to types, features to what they mean for each field, extensions to their messages.
#include <algorithm>

#include "schema/builder.h"

namespace zcrpc::schema {

using base::Status;

namespace {

constexpr int32_t kTypeGroup = int32_t(Kind::kGroup), kTypeMessage = int32_t(Kind::kMessage), kTypeEnum = int32_t(Kind::kEnum);

// What a proto2 or proto3 file says in labels, types and options, as features.
Features legacy_features(const FieldDecl& d) {
  Features own;
  if (d.label == kLabelRequired) own.presence = Features::kLegacyRequired;
  if (d.type == kTypeGroup) own.message = Features::kDelimited;
  if (d.has_packed) own.repeated = d.packed ? Features::kPacked : Features::kExpanded;
  return own;
}

}  // namespace

Status Builder::link_type(FileDecl& f, FieldDecl& d, std::string_view scope, int32_t* type) {
  Field* x = d.field;
  *type = d.type;
  bool named = *type == kTypeGroup || *type == kTypeMessage || *type == kTypeEnum;
  if (d.type_name.empty()) {
    if (*type == 0) return wrong(f, x->full_name, "no type");
    if (*type < 0 || *type > int32_t(Kind::kSint64)) return wrong(f, x->full_name, "type %d is not known", *type);
    if (named) return wrong(f, x->full_name, "a message or enum type without its name");
    return {};
  }
  if (*type != 0 && !named) return wrong(f, x->full_name, "a number or string cannot name a type");
  Symbol* s = names_.resolve(scope, d.type_name);
  if (!in_bounds()) return no_room();
  if (!s) return wrong(f, x->full_name, "type \"%.*s\" is not defined", ZCRPC_NAME(d.type_name));
  if (!s->is_type()) return wrong(f, x->full_name, "\"%.*s\" is not a type", ZCRPC_NAME(d.type_name));
  if (*type == 0) *type = s->kind == Symbol::kEnum ? kTypeEnum : kTypeMessage;
  if ((*type == kTypeEnum) != (s->kind == Symbol::kEnum))
    return wrong(f, x->full_name, "\"%.*s\" is not %s type", ZCRPC_NAME(d.type_name), *type == kTypeEnum ? "an enum" : "a message");
  if (s->kind == Symbol::kEnum) {
    x->enumeration = static_cast<Enum*>(s->what);
    x->closed_enum = x->enumeration->closed;
  } else {
    x->message = static_cast<Message*>(s->what);
  }
  return {};
}

Status Builder::link_field(FileDecl& f, FieldDecl& d, std::string_view scope, const Features& parent, Message* owner) {
  Field* x = d.field;
  if (d.label < kLabelOptional || d.label > kLabelRepeated) return wrong(f, x->full_name, "label %d is not known", d.label);
  if (f.legacy()) ZCRPC_TRY(check_no_features(f, x->full_name, d.features));
  int32_t type;
  ZCRPC_TRY(link_type(f, d, scope, &type));
  d.resolved = over(parent, f.legacy() ? legacy_features(d) : d.features);
  x->kind = Kind(type);
  // Maps and what lies in them are never delimited, whatever the file's default says.
  if (type == kTypeMessage && !f.legacy() && d.resolved.message == Features::kDelimited && !x->message->map_entry && !(owner && owner->map_entry))
    x->kind = Kind::kGroup;
  bool repeated = d.label == kLabelRepeated;
  x->shape = repeated ? (x->kind == Kind::kMessage && x->message->map_entry ? Shape::kMap : Shape::kRepeated) : Shape::kSingular;
  x->presence = !repeated && (is_message(x->kind) || x->extension || d.has_oneof || d.resolved.presence != Features::kImplicit);
  x->required = !repeated && !d.has_oneof && d.resolved.presence == Features::kLegacyRequired;
  x->packed = repeated && is_packable(x->kind) && d.resolved.repeated == Features::kPacked;
  x->utf8 = x->kind == Kind::kString && d.resolved.utf8 == Features::kVerify;
  ZCRPC_TRY(check_field(f, d));
  return set_default(f, d);
}

// Members in ascending order of their numbers.
void Builder::link_oneofs(const MessageItem& m) {
  for (FieldDecl& d : m.decl->fields)
    if (d.has_oneof) d.field->oneof = m.decl->oneofs[size_t(d.oneof_index)].oneof;
  for (Field& x : fields_of(m.message)) {
    if (!x.oneof) continue;
    auto* o = const_cast<Oneof*>(x.oneof);
    const_cast<const Field**>(o->fields.data())[o->fields.size()] = &x;
    o->fields = {o->fields.data(), o->fields.size() + 1};
  }
}

Status Builder::link_extension(const ExtensionItem& i) {
  FieldDecl& d = *i.decl;
  Field* x = d.field;
  const FileDecl& f = *i.file;
  if (!d.has_extendee || d.extendee.empty()) return wrong(f, x->full_name, "an extension without an extendee");
  if (d.has_oneof) return wrong(f, x->full_name, "an extension cannot be in a oneof");  // `optional` of a proto3 file makes none for it
  Symbol* s = names_.resolve(i.scope, d.extendee);
  if (!in_bounds()) return no_room();
  if (!s) return wrong(f, x->full_name, "extendee \"%.*s\" is not defined", ZCRPC_NAME(d.extendee));
  if (s->kind != Symbol::kMessage) return wrong(f, x->full_name, "\"%.*s\" is not a message type", ZCRPC_NAME(d.extendee));
  x->parent = static_cast<Message*>(s->what);
  // Its features come from where it stands, not from what it extends.
  ZCRPC_TRY(link_field(*i.file, d, i.scope, *i.features, nullptr));
  if (!x->parent->in_extension_range(x->number))
    return wrong(f, x->full_name, "%.*s does not take extensions with the number %u", ZCRPC_NAME(x->parent->name), x->number);
  if (x->parent->message_set && (x->kind != Kind::kMessage || x->repeated()))
    return wrong(f, x->full_name, "extensions of a message set are optional messages");
  return {};
}

// Each message's extensions in one sorted array, all arrays side by side.
Status Builder::link_extensions() {
  for (const ExtensionItem& i : extensions_) ZCRPC_TRY(link_extension(i));
  size_t n = extensions_.size();
  auto** all = make_array<const Field*>(n, &schema_->arena);
  auto** sorted = make_array<const Field*>(n, &schema_->arena);
  if (!all || !sorted) return Status::no_memory();
  for (size_t i = 0; i < n; i++) all[i] = sorted[i] = extensions_[i].decl->field;
  schema_->all_extensions = {all, n};
  std::sort(sorted, sorted + n, [](const Field* a, const Field* b) {
    if (a->parent != b->parent) return a->parent->type_no < b->parent->type_no;
    return a->number != b->number ? a->number < b->number : a < b;
  });
  for (size_t i = 0; i < n;) {
    auto* m = const_cast<Message*>(sorted[i]->parent);
    size_t j = i;
    for (; j < n && sorted[j]->parent == m; j++) {
      const_cast<Field*>(sorted[j])->index = uint32_t(j - i);
      if (j == i || sorted[j]->number != sorted[j - 1]->number) continue;
      Symbol* s = names_.find(sorted[j]->full_name);
      if (!s) return no_room();
      return wrong(*s->file, sorted[j]->full_name, "extension number %u of %.*s is already used by %.*s", sorted[j]->number,
                   ZCRPC_NAME(m->name), ZCRPC_NAME(sorted[j - 1]->full_name));
    }
    m->extensions = {sorted + i, j - i};
    i = j;
  }
  return {};
}

Status Builder::link_method_type(const FileDecl& f, std::string_view method, std::string_view service, std::string_view name,
                                 const Message** out) {
  Symbol* s = name.empty() ? nullptr : names_.resolve(service, name);
  if (!in_bounds()) return no_room();
  if (!s) return wrong(f, method, "type \"%.*s\" is not defined", ZCRPC_NAME(name));
  if (s->kind != Symbol::kMessage) return wrong(f, method, "\"%.*s\" is not a message type", ZCRPC_NAME(name));
  *out = static_cast<Message*>(s->what);
  return {};
}

Status Builder::link_services() {
  for (const ServiceItem& i : services_) {
    for (size_t n = 0; n < i.decl->methods.size(); n++) {
      const MethodDecl& d = i.decl->methods[n];
      auto* m = const_cast<Method*>(&i.decl->made->methods[n]);
      std::string_view symbol = m->path.substr(1);
      if (d.client_stream) m->flags |= kClientStream;
      if (d.server_stream) m->flags |= kServerStream;
      if (d.idempotency == 1) m->flags |= kNoSideEffects;
      if (d.idempotency == 2) m->flags |= kIdempotent;
      ZCRPC_TRY(link_method_type(*i.file, symbol, m->service, d.input, &m->input));
      ZCRPC_TRY(link_method_type(*i.file, symbol, m->service, d.output, &m->output));
    }
  }
  return {};
}

}  // namespace zcrpc::schema
