// What was wrong, where, and in which field. Offsets name the first byte of the smallest thing that is broken: a tag, a
// varint, a length, a number, a byte that is not UTF-8, the start tag of a group. Paths name the field it belongs to, or
// the message if that is as far as one can tell.
#include <charconv>
#include <string_view>

#include "schema/path.h"
#include "view/context.h"

namespace zcrpc::view {
namespace {

using schema::Field;

const char* text_of(Fault f) {
  switch (f) {
    case Fault::kTruncatedTag: return "truncated tag";
    case Fault::kTruncatedVarint: return "truncated varint";
    case Fault::kTruncatedLength: return "truncated length";
    case Fault::kTruncatedFixed: return "truncated fixed-width number";
    case Fault::kTruncatedGroup: return "group without its end";
    case Fault::kPastEnd: return "length past the end";
    case Fault::kVarintTooLong: return "varint of more than 10 bytes";
    case Fault::kTagTooLong: return "tag of more than 5 bytes or 32 bits";
    case Fault::kFieldNumber: return "field number 0";
    case Fault::kWireType: return "wire type 6 or 7";
    case Fault::kEndGroup: return "end of a group that is not open";
    case Fault::kPackedSize: return "packed numbers that are not a whole number of them";
    case Fault::kUtf8: return "invalid UTF-8";
    default: return "fault";
  }
}

// Text into a fixed place; what does not fit is left out.
struct Path {
  char text[1024];
  size_t n = 0;

  void add(std::string_view s) {
    if (s.size() > sizeof text - n) s = s.substr(0, sizeof text - n);
    if (!s.empty()) memcpy(text + n, s.data(), s.size());
    n += s.size();
  }
  void add_field(const Field* f) {
    if (n) add(".");
    if (f->extension) add("[");
    add(f->extension ? f->full_name : f->name);
    if (f->extension) add("]");
  }
  template <class Int>
  void add_number(Int v) {
    char b[24];
    add({b, size_t(std::to_chars(b, b + sizeof b, v).ptr - b)});
  }
  template <class Int>
  void add_index(Int v) {
    add("[");
    add_number(v);
    add("]");
  }
  // ["key"], if the key is known yet.
  void add_key(const uint8_t* input, const Field* map, const uint8_t* entry) {
    const Field* key = map->map_key();
    const uint8_t* s = entry + key->offset;
    if (is_string(key->kind)) {
      auto r = schema::load<zcrpc_str>(s);
      if (r.offset == 0) return;
      constexpr uint32_t kLongest = 64;
      add("[\"");
      const std::string_view whole(reinterpret_cast<const char*>(input) + r.offset, r.len);
      schema::show_key(whole.substr(0, kLongest), false, [this](std::string_view piece) { add(piece); });
      add(r.len > kLongest ? "...\"]" : "\"]");
    } else if (uint64_t v = schema::bits_at(key->kind, s)) {
      if (key->kind == schema::Kind::kUint64 || key->kind == schema::Kind::kFixed64) add_index(v);
      else add_index(int64_t(v));
    }
  }
};

// The slot of a field of any open message, for reading; nullptr: an extension that is not set.
const uint8_t* peek(const Context* c, const Table* t, const uint8_t* m, const Target& to) {
  if (!to.field->extension) return m + to.entry->offset;
  auto run = schema::load<zcrpc_run>(m + t->extension_offset);
  auto* rows = reinterpret_cast<const zcrpc_ext*>(c->index + run.offset);
  for (uint32_t i = 0; i < run.count; i++)
    if (rows[i].number == to.field->number) return reinterpret_cast<const uint8_t*>(&rows[i].value);
  return nullptr;
}

uint32_t count_of(const Context* c, const Table* t, const uint8_t* m, const Target& to) {
  const uint8_t* s = peek(c, t, m, to);
  return s ? schema::load<zcrpc_run>(s).count : 0;
}

void build_path(const Context* c, Path* path) {
  for (const Frame* f = c->frames + 1; f < c->sp; f++) {
    const Target to = frame_target(f);
    path->add_field(to.field);
    const uint8_t* open = f + 1 < c->sp ? (f + 1)->m : c->walk.m;
    const bool bad_key = f + 1 == c->sp && c->fault_field && c->fault_field->number == 1;
    if (to.field->is_map() && !bad_key) path->add_key(c->input, to.field, open);
    if (to.field->repeated() && !to.field->is_map()) path->add_index(count_of(c, f->t, f->m, to) - f->left - 1);
    if (to.field->is_map() && f + 1 < c->sp) f++;  // the entry's value: its place has been named
  }
  if (!c->fault_field || c->walk.t->entry) return;
  path->add_field(c->fault_field);
  const Target to = find_target(c->walk.t, c->fault_field->number);
  if (to.field && to.field->repeated() && !to.field->is_map()) path->add_index(count_of(c, c->walk.t, c->walk.m, to) + c->fault_more);
}

// Whether the message h, or a group in it, begins at `start` in the input.
bool covers(schema::View v, uint32_t start) {
  const base::Slice input{schema::input_of(v), schema::index_of(v)->input_len};
  auto in = [&](uint32_t from, size_t n) { return start - from <= n; };
  for (const zcrpc_range& piece : schema::pieces(v))
    if (start >= piece.offset && in(piece.offset, piece.len)) return true;
  if (v->type_no & ZCRPC_HEAD_MERGED) return false;
  const base::Slice all = schema::payload(input, v);
  return start >= v->start && in(v->start, size_t(all.data - input.data) - v->start + all.size);
}

// From the root of v's index to v itself: through groups, which are never lazy.
void add_groups(Path* path, schema::View v) {
  const schema::Schema* s = schema::anchor_of(v)->schema;
  auto* index = schema::index_of(v);
  auto* at = reinterpret_cast<schema::View>(reinterpret_cast<const uint8_t*>(index) + index->root);
  while (at != v) {
    const schema::Message* m = s->messages[at->type_no & ZCRPC_HEAD_TYPE];
    schema::View next = nullptr;
    auto look = [&](const Field* f) {
      if (f->kind != schema::Kind::kGroup) return;
      const schema::Elements all = schema::elements(at, f);
      for (uint32_t i = f->repeated() ? 0 : 1; !next && i < std::max(all.count, 2u); i++) {
        if (f->repeated() && i >= all.count) return;
        schema::View child = f->repeated() ? all.message(f->message, i) : schema::sub_message(at, f);
        if (child && covers(child, v->start)) {
          path->add_field(f);
          if (f->repeated()) path->add_index(i);
          next = child;
        }
      }
    };
    for (const Field& f : m->fields)
      if (!next) look(&f);
    for (const Field* f : m->extensions)
      if (!next) look(f);
    if (!next) return;
    at = next;
  }
}

// Where a child of a lazy view belongs.
void add_outer(Path* path, const schema::LazyLink* link) {
  uint32_t levels = 0;
  for (const schema::LazyLink* l = link; l->parent; l = schema::lazy_link_of(l->parent)) levels++;
  for (; levels; levels--) {
    const schema::LazyLink* l = link;
    for (uint32_t i = 1; i < levels; i++) l = schema::lazy_link_of(l->parent);
    add_groups(path, l->parent);
    const schema::Message* m = schema::type_of(l->parent);
    const Field* f = m->by_number(l->field);
    if (!f) f = m->extension(l->field);
    path->add_field(f);
    if (f->is_map()) path->add_key(schema::input_of(l->parent), f, schema::elements(l->parent, f).at(l->element));
    else if (f->repeated()) path->add_index(l->element);
  }
}

}  // namespace

bool report_overrun(Context* c) {
  const Frame* f = open_frame(c);
  const uint8_t *p, *end = c->input + c->offset(true_end(c));
  wire::Fault fault;
  uint64_t v;
  uint32_t n, tag;
  if (f->flags) {
    p = c->input + f->begin;
  } else {
    p = wire::read_varint(c->input + head_of(c->walk.m)->start, end, &v, &fault);
  }
  auto told = [&](Fault what, const uint8_t* at, const Field* field) {
    fail(c, what, nullptr, field);
    c->fault_at = uint32_t(at - c->input);
    return false;
  };
  while (p && p < end) {
    const uint8_t* start = p;
    p = wire::read_tag(start, end, &tag, &fault);
    if (!p) return told(Fault::kTruncatedTag, start, nullptr);
    const Field* field = find_target(c->walk.t, wire::tag_number(tag)).field;
    const uint8_t* value = p;
    switch (wire::tag_type(tag)) {
      case wire::Type::kVarint:
        p = wire::read_varint(p, end, &v, &fault);
        if (!p) return told(Fault::kTruncatedVarint, value, field);
        break;
      case wire::Type::kLength:
        p = wire::read_length(p, end, &n, &fault);
        if (!p) return told(Fault::kPastEnd, value, field);
        p += n;
        break;
      case wire::Type::kFixed64: case wire::Type::kFixed32:
        n = wire::tag_type(tag) == wire::Type::kFixed64 ? 8 : 4;
        if (size_t(end - p) < n) return told(Fault::kTruncatedFixed, value, field);
        p += n;
        break;
      default: {
        const uint8_t* at;
        p = wire::skip_value(p, end, tag, wire::kDeepest, &fault, &at);
        if (!p) return told(Fault::kTruncatedGroup, start, field);
      }
    }
  }
  return told(Fault::kTruncatedTag, end, nullptr);
}

base::Status report(Context* c) {
  if (c->fault == Fault::kMemory) return base::Status::no_memory();
  Path path;
  if (c->outer) add_outer(&path, c->outer);
  build_path(c, &path);
  base::Status status = c->fault == Fault::kDepth ? base::Status::format(base::Code::kResourceExhausted,
                                                                         "nested deeper than the limit of %u levels", c->max_depth)
                        : c->fault == Fault::kBudget ? base::Status::format(base::Code::kResourceExhausted,
                                                                            "index larger than the limit of %zu bytes", c->max_index)
                                                     : base::Status(base::Code::kInvalidArgument, text_of(c->fault));
  return std::move(status).at(c->fault_at).in({path.text, path.n});
}

}  // namespace zcrpc::view
