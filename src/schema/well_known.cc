// Which types are well known. A name alone does not make one: what reads them relies on their fields, so these are
// compared too, and a stranger under such a name is an ordinary message.
#include "schema/builder.h"

namespace zcrpc::schema {
namespace {

struct Member {
  Kind kind;
  Shape shape = Shape::kSingular;
  const char* type = nullptr;  // full name of its message or enum
};
struct Form {
  const char* name;  // behind "google.protobuf."
  WellKnown what;
  Member members[6];  // numbered from 1
  size_t count;
};

constexpr Form kForms[] = {
    {"Any", WellKnown::kAny, {{Kind::kString}, {Kind::kBytes}}, 2},
    {"Timestamp", WellKnown::kTimestamp, {{Kind::kInt64}, {Kind::kInt32}}, 2},
    {"Duration", WellKnown::kDuration, {{Kind::kInt64}, {Kind::kInt32}}, 2},
    {"FieldMask", WellKnown::kFieldMask, {{Kind::kString, Shape::kRepeated}}, 1},
    {"Struct", WellKnown::kStruct, {{Kind::kMessage, Shape::kMap, "google.protobuf.Struct.FieldsEntry"}}, 1},
    {"Value", WellKnown::kValue,
     {{Kind::kEnum, Shape::kSingular, "google.protobuf.NullValue"}, {Kind::kDouble}, {Kind::kString}, {Kind::kBool},
      {Kind::kMessage, Shape::kSingular, "google.protobuf.Struct"}, {Kind::kMessage, Shape::kSingular, "google.protobuf.ListValue"}}, 6},
    {"ListValue", WellKnown::kListValue, {{Kind::kMessage, Shape::kRepeated, "google.protobuf.Value"}}, 1},
    {"DoubleValue", WellKnown::kDoubleValue, {{Kind::kDouble}}, 1},
    {"FloatValue", WellKnown::kFloatValue, {{Kind::kFloat}}, 1},
    {"Int64Value", WellKnown::kInt64Value, {{Kind::kInt64}}, 1},
    {"UInt64Value", WellKnown::kUInt64Value, {{Kind::kUint64}}, 1},
    {"Int32Value", WellKnown::kInt32Value, {{Kind::kInt32}}, 1},
    {"UInt32Value", WellKnown::kUInt32Value, {{Kind::kUint32}}, 1},
    {"BoolValue", WellKnown::kBoolValue, {{Kind::kBool}}, 1},
    {"StringValue", WellKnown::kStringValue, {{Kind::kString}}, 1},
    {"BytesValue", WellKnown::kBytesValue, {{Kind::kBytes}}, 1},
    {"Empty", WellKnown::kEmpty, {}, 0},
};
constexpr std::string_view kPackage = "google.protobuf.";

bool has_form(const Message* m, const Form& form) {
  if (m->fields.size() != form.count || m->map_entry || m->message_set || !m->extension_ranges.empty()) return false;
  for (size_t i = 0; i < form.count; i++) {
    const Field& f = m->fields[i];
    const Member& x = form.members[i];
    if (f.number != i + 1 || f.kind != x.kind || f.shape != x.shape || f.required) return false;
    std::string_view type = f.message ? f.message->name : f.enumeration ? f.enumeration->name : std::string_view();
    if (type != (x.type ? x.type : "")) return false;
  }
  // Value is one oneof of all its members, and nothing else has one.
  for (const Field& f : m->fields)
    if ((f.oneof != nullptr) != (form.what == WellKnown::kValue) || f.oneof != m->fields[0].oneof) return false;
  if (form.what != WellKnown::kStruct) return true;
  const Field *key = m->fields[0].map_key(), *value = m->fields[0].map_value();
  return key->kind == Kind::kString && value->kind == Kind::kMessage && value->message->name == "google.protobuf.Value";
}

}  // namespace

void Builder::classify() {
  Message* json[3] = {};  // Struct, Value, ListValue: all of them or none
  size_t found = 0;
  for (const MessageItem& i : messages_) {
    if (!i.message->name.starts_with(kPackage)) continue;
    std::string_view name = i.message->name.substr(kPackage.size());
    for (const Form& form : kForms) {
      if (name != form.name || !has_form(i.message, form)) continue;
      i.message->well_known = form.what;
      if (form.what == WellKnown::kStruct || form.what == WellKnown::kValue || form.what == WellKnown::kListValue) json[found++] = i.message;
    }
  }
  if (found < 3)
    for (size_t i = 0; i < found; i++) json[i]->well_known = WellKnown::kNone;
  for (const EnumItem& i : enums_)
    if (i.made->name == "google.protobuf.NullValue" && i.made->values[0].number == 0) i.made->well_known = WellKnown::kNullValue;
}

}  // namespace zcrpc::schema
