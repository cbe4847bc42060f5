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
  Rule* r = make_rule(e, n, number, f);
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
    const Opened o = open_element(e, n, f, i);
    if (!o.node || !trim_node(e, o.node, mask)) return false;
    close_element(e, f, o);
  }
  return !e->is_failed;
}

bool trim_node(Encoder* e, Node* n, const MaskNode* mask) {
  // The numbers that occur, twice each, plus 1 for records of the field itself.
  base::Vec<uint64_t> seen(&e->edit->counted);
  bool ok = true;
  auto unite = [&] {
    std::sort(seen.begin(), seen.end());
    seen.truncate(size_t(std::unique(seen.begin(), seen.end()) - seen.begin()));
  };
  auto add = [&](uint64_t number, bool known) {
    uint64_t v = number << 1 | known;
    if (!seen.empty() && seen.back() == v) return true;
    if (seen.size() == seen.capacity()) {
      unite();
      ok = seen.reserve(2 * seen.size() + 1);  // so that half of it is free for the next
    }
    return ok = ok && seen.push(v);
  };
  for (const Rule& r : n->rules)
    if (!add(r.number, true)) break;
  if (ok && !scan(e, n, 0, [&](const Record& rec, uint32_t) { return add(rec.number, rec.field != nullptr); })) return false;
  if (!ok) {
    no_memory(e);
    return false;
  }
  unite();
  for (uint64_t v : seen) {
    const auto number = uint32_t(v >> 1);
    const MaskNode* child = mask->child(number);
    if (!child) {
      if (!clear_all(e, n, number)) return false;
    } else if (v & 1) {
      if (!trim_field(e, n, child)) return false;
    } else if (Rule* r = make_rule(e, n, number, child->field)) {
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
    if (!rec.packed || !f->closed_enum) {
      return ok = append_piece(e, to, part_of(d, from->segments[s], rec.begin, size_t(rec.end - rec.begin)));
    }
    // Those that the enum has. The run may lie in the log, which moves while they are put there.
    const Bytes run = part_of(d, from->segments[s], rec.payload, rec.size);
    Segment piece;
    piece.kind = Segment::kRecords;
    piece.bytes = {nullptr, d->log->offset(), 0, nullptr};
    for (size_t at = 0; at < run.size;) {
      const base::Slice in = resolve(d, run);
      uint64_t bits;
      bool known;
      const uint8_t* p = next_packed(f, in.data + at, in.end(), &bits, &known);
      if (!p) {
        malformed(e);
        return ok = false;
      }
      at = size_t(p - in.data);
      if (known) put_number(d->log, f, bits);
      if (d->log->is_failed) {
        fail_at(e, f, take_status(d->log));
        return ok = false;
      }
    }
    piece.bytes.size = d->log->offset() - piece.bytes.at;
    return ok = append_segment(e, to, piece);
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
    if (!there) no_memory(e, f);
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
  if (!edits(e)) return false;
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
  e->edit->set += kCall;
  Node* from = new_node(e->edit, e->type);
  if (!from) return no_memory(e);
  if (append_view(e, from, v)) (void)merge_node(e, open_node(e), from, mask, flags);
}

}  // namespace zcrpc::encode
