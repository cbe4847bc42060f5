// An edit is written: what no rule touches as it lies, the rest record by record.
#include <algorithm>

#include "encode/edit.h"

namespace zcrpc::encode {

using base::Slice;
using base::Status;
using schema::Field;
using schema::Kind;

namespace {

// Counts, writes at an encoder's cursor, or writes up to kFold bytes.
struct Out {
  Encoder* e;    // nullptr: counts
  size_t n = 0;  // without an encoder: bytes so far
  uint8_t* small = nullptr;  // has room for kFold bytes, and kRoom behind them
  bool full = false;

  bool failed() const { return full || (e && e->is_failed); }
  // Where the n bytes lie that it has just been counted by; nullptr: it writes none.
  uint8_t* spot(size_t size) {
    if (!small) return nullptr;
    full |= n > kFold;
    return full ? nullptr : small + n - size;
  }
  void raw(Slice s, base::Buffer* holder) {
    n += s.size;
    uint8_t* to;
    if (!e) {
      if (!(to = spot(s.size))) return;
    } else {
      if (!s.size) return;
      if (holder && s.size >= kByReference) return void(e->refer(holder, s));
      if (!e->room(s.size)) return;
      to = e->p;
      e->p += s.size;
    }
    copy(to, s.data, s.size);
  }
  void varint(uint64_t v) {
    if (e && size_t(e->end - e->p) >= kRoom) {
      e->p = put_varint(e->p, v);
      return;
    }
    uint8_t bytes[kRoom];
    raw({bytes, size_t(put_varint(bytes, v) - bytes)}, nullptr);
  }
  void number(Kind k, uint64_t bits) {
    uint8_t bytes[kRoom];
    raw({bytes, size_t(put_value(bytes, k, bits) - bytes)}, nullptr);
  }
  struct Mark {
    size_t at = 0, refs = 0, cuts = 0;
    uint8_t guess = 0;
  };
  Mark open(const Field* f) {
    Mark m{n};
    if (e && e->room(kRoom)) {
      m = {e->offset(), e->refs, e->cuts.size(), *e->guess_of(f)};
      e->p += m.guess;
    }
    return m;
  }
  void close(const Field* f, Mark m) {
    if (!e)
      close_small(m.at);
    else if (!e->is_failed && close_length(e, m.at, &m.guess, m.refs, m.cuts))
      *e->guess_of(f) = m.guess;
  }
  void close_small(size_t at) {
    const size_t size = n - at, prefix = wire::varint_size(size);
    n += prefix;
    uint8_t* to = spot(prefix + size);
    if (!to) return;
    memmove(to + prefix, to, size);
    wire::put_varint(to, size);
  }
};

class Pen {
 public:
  Pen(const Edit* d, Out* out) : d_(d), out_(*out) {}
  bool node(Node* n);
  bool record(const Field* f, Node* n) {
    child(f, n);
    return good_;
  }

 private:
  void segment(const Segment& s);
  void child(const Field* f, Node* n);
  bool records(Node* n, uint32_t s, Slice in, base::Buffer* holder);
  uint32_t flush(Node* n, uint32_t s);
  void place(Rule* r);
  void strangers(const Record& rec);
  // Whether a rule keeps the record, and what is written in its place.
  bool keeps(Node* n, uint32_t s, const Record& rec, const Segment** instead, Rule** placed);
  bool keeps_entry(Node* n, Rule* r, uint32_t s, const Record& rec);

  const Edit* d_;
  Out& out_;
  bool good_ = true;
};

constexpr uint32_t kItemStart = 1 << 3 | 3, kItemEnd = 1 << 3 | 4, kItemType = 2 << 3, kItemMessage = 3 << 3 | 2;

void Pen::child(const Field* f, Node* n) {
  if (f->extension && f->parent->message_set) {
    out_.varint(kItemStart);
    out_.varint(kItemType);
    out_.varint(f->number);
    out_.varint(kItemMessage);
    Out::Mark m = out_.open(f);
    node(n);
    out_.close(f, m);
    out_.varint(kItemEnd);
  } else if (f->kind == Kind::kGroup) {
    out_.varint(element_tag(f));
    node(n);
    out_.varint(wire::tag(f->number, wire::Type::kEndGroup));
  } else {
    out_.varint(length_tag(f));
    Out::Mark m = out_.open(f);
    node(n);
    out_.close(f, m);
  }
}

void Pen::segment(const Segment& s) {
  switch (s.kind) {
    case Segment::kNone: break;
    case Segment::kRecords: out_.raw(resolve(d_, s.bytes), s.bytes.holder); break;
    case Segment::kValue:
      out_.varint(length_tag(s.field));
      out_.varint(s.bytes.size);
      out_.raw(resolve(d_, s.bytes), s.bytes.holder);
      break;
    case Segment::kChild: child(s.field, s.child); break;
  }
}

// The new value of a field, where its first old one was, or else before what came later.
void Pen::place(Rule* r) {
  if (r->placed) return;
  r->placed = true;
  segment(r->value);
  if (!r->numbers || !r->numbers->live.size()) return;
  const Field* f = r->field;
  Out::Mark m;
  if (f->packed) {
    out_.varint(length_tag(f));
    m = out_.open(f);
  }
  for (uint32_t i = 0; i < r->numbers->all.size(); i++) {
    if (!r->numbers->live.has(i)) continue;
    if (!f->packed) out_.varint(element_tag(f));
    out_.number(f->kind, r->numbers->all[i]);
  }
  if (f->packed) out_.close(f, m);
}

// Gives the segment that the next rules are due at.
uint32_t Pen::flush(Node* n, uint32_t s) {
  uint32_t next = UINT32_MAX;
  n->rules.ascending([&](Rule& r) {
    if (r.before <= s)
      place(&r);
    else if (r.before < next)
      next = r.before;
  });
  return next;
}

// Numbers in a packed run that its closed enum does not have are unknown fields, and stay.
void Pen::strangers(const Record& rec) {
  if (!rec.packed || !rec.field->closed_enum) return;
  for (const uint8_t *p = rec.payload, *end = p + rec.size; p < end;) {
    uint64_t bits;
    bool known;
    if (!(p = next_packed(rec.field, p, end, &bits, &known))) return void(good_ = false);
    if (known) continue;
    out_.varint(wire::tag(rec.number, wire::Type::kVarint));
    out_.varint(bits);
  }
}

bool Pen::keeps_entry(Node* n, Rule* r, uint32_t s, const Record& rec) {
  Key key;
  bool ok = rec.begin ? entry_key(r->field, {rec.payload, rec.size}, &key) : node_key(d_, r->field, n->segments[s].child, &key);
  if (!ok) return good_ = false;
  const KeyRule* k = find_key(r->field, r->keys, key);
  return !k || s >= k->before;
}

bool Pen::keeps(Node* n, uint32_t s, const Record& rec, const Segment** instead, Rule** placed) {
  Rule* r = n->rules.find(rec.number);
  if (!r) return true;
  if (!rec.field) return s >= r->before_unknown;
  if (s < r->before) {
    *placed = r;
    return false;
  }
  if (r->rows && s < r->rows->scanned) {
    const uint32_t row = r->row++, place = r->rows->places[row];
    if (!r->rows->live.has(row)) return false;
    if (!(place & kChanged)) return true;
    *instead = &r->rows->changes[place & ~kChanged]->value;
    return false;
  }
  return !r->keys || keeps_entry(n, r, s, rec);
}

bool Pen::records(Node* n, uint32_t s, Slice in, base::Buffer* holder) {
  const uint8_t* from = in.begin();
  Record rec;
  for (const uint8_t* p = from; p < in.end() && good_ && !out_.failed(); p = rec.end) {
    if (!next_record(n->type, p, in.end(), &rec)) return good_ = false;
    const Segment* instead = nullptr;
    Rule* placed = nullptr;
    if (keeps(n, s, rec, &instead, &placed)) continue;
    out_.raw({from, size_t(p - from)}, holder);
    from = rec.end;
    if (placed) place(placed);
    if (placed && rec.field && s >= placed->before_unknown) strangers(rec);
    if (instead) segment(*instead);
  }
  if (good_) out_.raw({from, size_t(in.end() - from)}, holder);
  return good_;
}

bool Pen::node(Node* n) {
  uint32_t ruled = 0, due = n->rules.empty() ? UINT32_MAX : 0;  // segments before ruled are scanned
  for (Rule& r : n->rules) {
    r.placed = false;
    r.row = 0;
    ruled = std::max({ruled, r.before, r.before_unknown, r.rows ? r.rows->scanned : 0, r.keys ? n->count() : 0});
  }
  for (uint32_t s = 0; s < n->count() && good_ && !out_.failed(); s++) {
    const Segment& seg = n->segments[s];
    if (s >= due) due = flush(n, s);
    if (s >= ruled) {
      segment(seg);
    } else if (seg.kind == Segment::kRecords) {
      if (!records(n, s, resolve(d_, seg.bytes), seg.bytes.holder)) return false;
    } else {
      Record rec;
      rec.field = seg.field;
      rec.number = seg.field->number;
      const Segment* instead = nullptr;
      Rule* placed = nullptr;
      if (keeps(n, s, rec, &instead, &placed))
        segment(seg);
      else if (placed)
        place(placed);
      else if (instead)
        segment(*instead);
    }
  }
  if (good_ && !out_.failed()) flush(n, UINT32_MAX);
  return good_;
}

}  // namespace

bool write_edit(Encoder* e) {
  Edit* d = e->edit;
  e->editing = false;
  e->end = d->end;
  Out out{e};
  Pen pen(d, &out);
  if (!pen.node(d->open[0].node)) malformed(e);
  return !e->is_failed;
}

Segment logged(Edit* d, size_t from) {
  Segment s;
  s.kind = Segment::kRecords;
  s.bytes.at = from;
  s.bytes.size = d->log->offset() - from;
  d->set += s.bytes.size;
  return s;
}

bool fold(Encoder* e, const Field* f, Node* n, const Opened& o, Segment* record) {
  Edit* d = e->edit;
  // Not small as it lies there: spared the try.
  size_t lies = d->log->offset() - o.log;
  if (n->rules.empty())
    for (const Segment& s : n->segments) lies = lies < s.bytes.size ? s.bytes.size : lies;
  if (lies > kFold) return false;
  uint8_t bytes[kFold + kRoom];
  Out out{nullptr};
  out.small = bytes;
  Pen pen(d, &out);
  if (!pen.record(f, n) || out.full) return false;
  Encoder* log = d->log;
  log->p = log->base + o.log;
  put_raw(log, {bytes, out.n});
  if (log->is_failed) {
    fail_at(e, f, take_status(log));
    return false;
  }
  (void)d->arena.rewind(o.mark);
  record->kind = Segment::kRecords;
  record->bytes = {nullptr, o.log, out.n, nullptr};
  return true;
}

size_t count_edit(const Encoder* e) {
  Out out{nullptr};
  Pen pen(e->edit, &out);
  return pen.node(e->edit->open[0].node) ? out.n : SIZE_MAX;
}

base::Result<base::Buffer*> snapshot(Encoder* e) {
  if (e->is_failed) return take_status(e);
  if (!e->editing) return Status(base::Code::kFailedPrecondition, "only an encoder that edits can be read before it is finished");
  Encoder* to = encoder_new(nullptr);
  if (!to) return Status::no_memory();
  Out out{to};
  Pen pen(e->edit, &out);
  if (!pen.node(e->edit->open[0].node)) malformed(to);
  base::Result<base::Buffer*> b = finish(to);
  encoder_free(to);
  return b;
}

}  // namespace zcrpc::encode
