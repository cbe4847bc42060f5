// Edits by field mask: keep what it names, or take what it names from another message.
#include <algorithm>

#include "encode/edit.h"

namespace zcrpc::encode {

using base::Code;
using base::Status;
using schema::Field;
using schema::MaskNode;
using schema::View;

namespace {

bool trim_node(Encoder* e, Node* n, const MaskNode* mask);

bool clear_all(Encoder* e, Node* n, uint32_t number) {
  const Field* f = field_of(n->type, number);
  if (f && !clear_field(e, n, f)) return false;
  Rule* r = make_rule(e, n, number);
  if (!r) return false;
  if (!f) drop_field(n, r);
  r->before_unknown = n->count();
  return true;
}

bool trim_field(Encoder* e, Node* n, const MaskNode* mask) {
  const Field* f = mask->field;
  if (mask->whole || f->is_map()) return true;
  if (!f->repeated()) {
    if (live_member(e, n, f) != f) return !e->is_failed;
    Node* child = open_child(e, n, f);
    return child && trim_node(e, child, mask);
  }
  Rows* rows = list_rows(e, n, f);
  if (!rows) return false;
  for (size_t i = 0; i < rows->live.size(); i++) {
    Node* child = open_element(e, n, f, i);
    if (!child || !trim_node(e, child, mask)) return false;
  }
  return true;
}

bool trim_node(Encoder* e, Node* n, const MaskNode* mask) {
  // The numbers that occur, twice each, plus 1 for records of the field itself.
  base::Vec<uint64_t> seen;
  bool ok = true;
  auto add = [&](uint64_t number, bool known) {
    uint64_t v = number << 1 | known;
    if (seen.empty() || seen.back() != v) ok = seen.push(v);
    return ok;
  };
  for (const Rule& r : n->rules)
    if (!add(r.number, true)) break;
  if (ok && !scan(e, n, 0, [&](const Record& rec, uint32_t) { return add(rec.number, rec.field != nullptr); })) return false;
  if (!ok) {
    fail(e, Status::no_memory());
    return false;
  }
  std::sort(seen.begin(), seen.end());
  seen.truncate(size_t(std::unique(seen.begin(), seen.end()) - seen.begin()));
  for (uint64_t v : seen) {
    const auto number = uint32_t(v >> 1);
    const MaskNode* child = mask->child(number);
    if (!child) {
      if (!clear_all(e, n, number)) return false;
    } else if (v & 1) {
      if (!trim_field(e, n, child)) return false;
    } else if (Rule* r = make_rule(e, n, number)) {
      r->before_unknown = n->count();
    } else {
      return false;
    }
  }
  return true;
}

// All records of f in one node behind those of another.
bool append_field(Encoder* e, Node* to, const Node* from, const Field* f) {
  Edit* d = e->edit;
  bool ok = true;
  return scan(e, from, 0, [&](const Record& rec, uint32_t s) {
    if (rec.field != f) return true;
    Segment piece;
    piece.kind = Segment::kRecords;
    if (!rec.packed || !f->closed_enum) {
      piece.bytes = part_of(d, from->segments[s], rec.begin, size_t(rec.end - rec.begin));
      return ok = append_segment(e, to, piece);
    }
    for (const uint8_t *p = rec.payload, *end = p + rec.size; p < end && ok;) {
      uint64_t bits;
      bool known;
      if (!(p = next_packed(f, p, end, &bits, &known))) {
        malformed(e);
        return ok = false;
      }
      if (!known) continue;
      piece.bytes = {nullptr, d->log->offset(), 0, nullptr};
      put_number(d->log, f, bits);
      if (d->log->is_failed) {
        fail_at(e, f, take_status(d->log));
        return ok = false;
      }
      piece.bytes.size = d->log->offset() - piece.bytes.at;
      ok = append_segment(e, to, piece);
    }
    return ok;
  }) && ok;
}

bool merge_node(Encoder* e, Node* to, Node* from, const MaskNode* mask, uint32_t flags);

bool merge_field(Encoder* e, Node* to, Node* from, const MaskNode* mask, uint32_t flags) {
  const Field* f = mask->field;
  const bool is_message = schema::is_message(f->kind);
  if (f->repeated()) {
    if (!mask->whole) {
      fail_at(e, f, Status(Code::kInvalidArgument, "a mask that leads through a repeated field cannot merge"));
      return false;
    }
    if ((flags & kMaskReplaceRepeated) && !clear_field(e, to, f)) return false;
    return append_field(e, to, from, f);
  }
  const Field* live = live_member(e, from, f);
  if (e->is_failed) return false;
  const bool there = live == f;
  if (!is_message) {
    if (!there) return clear_field(e, to, f);
    return copy_value(e, to, from, f);
  }
  if (mask->whole) {
    if ((flags & kMaskReplaceMessages) && !clear_field(e, to, f)) return false;
    if (!there) return true;
  } else if (!there && live_member(e, to, f) != f) {
    return !e->is_failed;  // nothing to clear in it, and no reason to make it, which might unset another member of its oneof
  }
  Node* source = there ? open_child(e, from, f) : new_node(e->edit, f->message);
  if (!source) {
    if (!there) fail(e, Status::no_memory());
    return false;
  }
  Node* target = open_child(e, to, f);
  if (!target) return false;
  if (!mask->whole) return merge_node(e, target, source, mask, flags);
  for (const Segment& s : source->segments)
    if (!append_segment(e, target, s)) return false;
  return true;
}

bool merge_node(Encoder* e, Node* to, Node* from, const MaskNode* mask, uint32_t flags) {
  for (const MaskNode* child : mask->children())
    if (!merge_field(e, to, from, child, flags)) return false;
  return true;
}

// Whether an edit of that type is open.
bool ready(Encoder* e, const MaskNode* mask) {
  if (e->is_failed) return false;
  if (!e->editing) {
    fail(e, Status(Code::kFailedPrecondition, "only an encoder that edits can do this: call zcrpc_encoder_edit first"));
    return false;
  }
  if (mask->type == e->type || (e->type && mask->type && mask->type->fingerprint == e->type->fingerprint)) return true;
  fail(e, Status(Code::kInvalidArgument, "a mask of another type"));
  return false;
}

}  // namespace

void trim_to(Encoder* e, const MaskNode* mask) {
  if (ready(e, mask) && !mask->whole) (void)trim_node(e, open_node(e), mask);
}

void merge_masked(Encoder* e, View v, const MaskNode* mask, uint32_t flags) {
  if (!ready(e, mask)) return;
  if (v && schema::type_of(v) != e->type && schema::type_of(v)->fingerprint != e->type->fingerprint)
    return fail(e, Status(Code::kInvalidArgument, "a message of another type"));
  if (mask->whole) return merge(e, v);
  Node* from = new_node(e->edit, e->type);
  if (!from) return fail(e, Status::no_memory());
  if (append_view(e, from, v)) (void)merge_node(e, open_node(e), from, mask, flags);
}

}  // namespace zcrpc::encode
