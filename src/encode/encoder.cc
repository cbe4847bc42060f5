#include "base/string.h"
#include "encode/edit.h"

namespace zcrpc::encode {

using base::Code;
using base::Status;

namespace {
constexpr size_t kFirstChunk = 1024 - sizeof(base::Buffer) - base::kSlack;

void forget_chunk(Encoder* e) {
  if (e->chunk) e->chunk->release();
  e->chunk = nullptr;
  e->chunk_size = 0;
}

// No put goes inline any more, and none out of line gets further than room().
void shut(Encoder* e) { e->end = e->p; }

void append_name(base::String& path, const schema::Field* f) {
  if (f->extension)
    path.append('[').append(f->full_name).append(']');
  else
    path.append(f->name);
}
}  // namespace

Encoder* encoder_new(const schema::Message* type, const base::Allocator* a) {
  auto* e = base::make_in<Encoder>(a, a);
  if (!e) return nullptr;
  memset(e->guesses, 1, sizeof e->guesses);
  e->root = e->type = type;
  return e;
}

void encoder_free(Encoder* e) {
  if (!e) return;
  edit_free(e);
  e->drop_cuts();
  forget_chunk(e);
  base::drop_in(e->allocator, e);
}

void Encoder::drop_cuts() {
  for (Cut& c : cuts) c.buffer->release();
  cuts.clear();
  parts.clear();
}

void Encoder::start(const schema::Message* t) {
  if (!cuts.empty()) drop_cuts();
  parts.clear();
  frames.clear();
  open = opens;
  refs = 0;
  root = type = t;
  is_failed = is_sealed = false;
  last = last_count = 0;
  lent = nullptr;
  if (edit) [[unlikely]]
    edit_reset(this);
  status = Status();
  // Somebody may still read what was given away.
  if (chunk && !chunk->unique()) forget_chunk(this);
}

void reset(Encoder* e, const schema::Message* type, size_t headroom) {
  e->start(type);
  e->headroom = headroom;
  if (e->chunk && e->chunk_size >= headroom) {
    e->chunk->shrink(e->chunk_size);
    e->base = e->chunk->writable();
    e->p = e->base + headroom;
    e->end = e->base + e->chunk_size;
  } else {
    forget_chunk(e);
    e->base = e->p = e->end = nullptr;  // the first put gets memory
  }
}

void reset_in(Encoder* e, const schema::Message* type, uint8_t* memory, size_t capacity) {
  if (capacity < kRoom + kOverrun) return reset(e, type);
  e->start(type);
  e->headroom = 0;
  e->lent = e->base = e->p = memory;
  e->end = memory + capacity - kOverrun;
}

bool in_place(const Encoder* e) { return e->lent && e->base == e->lent && !e->is_failed && e->cuts.empty(); }

void expect(Encoder* e, size_t n) { (void)e->room(n); }

void trim(Encoder* e, size_t keep) {
  if (e->edit && !e->editing) trim(e->edit->log, keep);
  if (!e->chunk || e->chunk_size <= keep || (e->base == e->chunk->data() && e->offset() != e->headroom)) return;
  bool current = e->base == e->chunk->data();
  forget_chunk(e);
  if (current) e->base = e->p = e->end = nullptr;
}

const schema::Message* type_of(Encoder* e) {
  (void)e->settle();
  return e->type;
}
const schema::Message* root_of(const Encoder* e) { return e->root; }
bool is_editing(const Encoder* e) { return e->editing; }

bool Encoder::settle_opens() {
  const Open* const stop = open;
  open = opens;
  for (const Open* o = opens; o != stop; o++) {
    const schema::Field* f = type ? type->by_number(o->field) : nullptr;
    if (!f || !schema::is_message(f->kind)) {
      fail(this, Status(Code::kInvalidArgument, "the open message is not of the type that generated code has taken it for"));
      return false;
    }
    Frame* frame = frames.grow(1);
    if (!frame) {
      fail(this, Status::no_memory());
      return false;
    }
    *frame = {f, type, size_t(o->at - base), refs, cuts.size(), o->element, o->last, o->last_count, uint8_t(o->guess), uint8_t(o->slot)};
    type = f->message;
  }
  return true;
}

bool Encoder::grow(size_t n) {
  if (is_failed || !settle()) return false;
  if (editing) {
    fail(this, Status(Code::kInternal, "a put that an edit does not take"));
    return false;
  }
  if (is_sealed) {
    fail(this, Status(Code::kFailedPrecondition, "the message is finished: reset the encoder first"));
    return false;
  }
  size_t used = base ? offset() : headroom;
  if (n > wire::kMaxMessage || used + n > wire::kMaxMessage) {
    fail(this, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
    return false;
  }
  size_t least = used + n;
  bool in_chunk = base && chunk && base == chunk->data();
  // Memory that was kept, while the message lay in the caller's until now.
  if (!in_chunk && chunk && chunk_size >= least) {
    chunk->shrink(chunk_size);
    if (base) memcpy(chunk->writable(), base, used);
  } else {
    size_t want = in_chunk ? chunk_size * 2 : kFirstChunk;
    if (want < least + least / 4) want = least + least / 4;
    base::Buffer* b = base::Buffer::make(want, allocator);
    if (!b && want > least) b = base::Buffer::make(want = least, allocator);
    if (!b) {
      fail(this, Status::no_memory());
      return false;
    }
    if (base) memcpy(b->writable(), base, used);
    if (chunk) chunk->release();
    chunk = b;
    chunk_size = want;
  }
  base = chunk->writable();
  p = base + used;
  end = base + chunk_size;
  return true;
}

bool Encoder::refer(base::Buffer* b, base::Slice bytes) {
  if (!settle() || !room(1)) return false;  // so that there is memory to count offsets in, and sealed ones say so
  if (bytes.size > wire::kMaxMessage || written() + bytes.size > wire::kMaxMessage) {
    fail(this, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
    return false;
  }
  if (!cuts.push({offset(), bytes, b})) {
    fail(this, Status::no_memory());
    return false;
  }
  b->retain();
  refs += bytes.size;
  return true;
}

bool failed(const Encoder* e) { return e->is_failed; }

Status take_status(Encoder* e) {
  if (!e->is_failed) return {};
  if (e->status.ok()) return Status(Code::kFailedPrecondition, "the encoder has failed before: reset it first");
  return std::move(e->status);
}

void fail_at(Encoder* e, const schema::Field* leaf, Status s) {
  if (e->is_failed || !e->settle()) return;
  e->is_failed = true;
  e->status = std::move(s);
  shut(e);
  if (e->status.error()->is_static() || *e->status.path()) return;
  base::String path;
  for (const Frame& f : e->frames) {
    if (!path.empty()) path.append('.');
    append_name(path, f.field);
    if (f.element != kNoElement) path.append('[').append_int(f.element).append(']');
  }
  if (leaf) {
    if (!path.empty()) path.append('.');
    append_name(path, leaf);
  }
  if (path.ok() && !path.empty()) (void)e->status.error()->set_path(path.view());
}

void fail(Encoder* e, Status s) {
  if (!s.ok()) fail_at(e, nullptr, std::move(s));
}

size_t size(const Encoder* e) {
  if (e->editing) [[unlikely]]
    return e->is_failed ? 0 : count_edit(e);
  return e->base ? e->written() : 0;
}

bool close_length(Encoder* e, size_t at, uint8_t* guess, size_t refs, size_t first_cut) {
  size_t held = *guess;
  size_t own = e->offset() - at - held;
  size_t n = own + (e->refs - refs);
  if (n > wire::kMaxMessage) {
    fail(e, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
    return false;
  }
  size_t need = wire::varint_size(n);
  if (need != held) {
    if (need > held && !e->room(need - held)) return false;
    uint8_t* from = e->base + at + held;
    memmove(from + need - held, from, own);
    e->p = e->p + need - held;
    for (size_t i = first_cut; i < e->cuts.size(); i++) e->cuts[i].at = e->cuts[i].at + need - held;
    *guess = uint8_t(need);
  }
  wire::put_varint(e->base + at, n);
  return true;
}

// ---- Results

namespace {
Status seal(Encoder* e) {
  (void)e->settle();
  if (!e->is_failed && !e->is_sealed) {
    if (!e->frames.empty())
      fail(e, Status(Code::kFailedPrecondition, "a sub-message is still open"));
    else if (e->editing && !write_edit(e))
      return take_status(e);
    else if (size(e) > wire::kMaxMessage)
      fail(e, Status(Code::kResourceExhausted, "message over 2147483647 bytes"));
  }
  if (e->is_failed) return take_status(e);
  e->is_sealed = true;
  shut(e);
  return {};
}
}  // namespace

base::Result<base::Slice> contiguous(Encoder* e) {
  ZCRPC_TRY(seal(e));
  if (!e->base) return base::Slice(reinterpret_cast<const uint8_t*>(""), 0);
  if (!e->cuts.empty()) return base::Slice();
  return base::Slice(e->base + e->headroom, e->offset() - e->headroom);
}

base::Result<std::span<const Part>> gather(Encoder* e) {
  ZCRPC_TRY(seal(e));
  e->parts.clear();
  if (!e->parts.reserve(2 * e->cuts.size() + 1)) return Status::no_memory();
  size_t from = e->headroom;
  for (const Cut& c : e->cuts) {
    if (c.at > from && !e->parts.push({{e->base + from, c.at - from}, nullptr})) return Status::no_memory();
    if (!e->parts.push({c.bytes, c.buffer})) return Status::no_memory();
    from = c.at;
  }
  if (e->base && e->offset() > from && !e->parts.push({{e->base + from, e->offset() - from}, nullptr}))
    return Status::no_memory();
  return std::span<const Part>(e->parts.data(), e->parts.size());
}

base::Result<base::Buffer*> finish(Encoder* e) {
  ZCRPC_TRY(seal(e));
  size_t n = size(e);
  // The chunk itself, when it is not mostly empty: a small message must not pin a large piece of memory.
  if (e->chunk && e->base == e->chunk->data() && e->cuts.empty() && e->headroom == 0 && n >= 4096 && n > e->chunk_size / 2) {
    e->chunk->shrink(n);
    return e->chunk->retain();
  }
  base::Buffer* b = base::Buffer::make(n, e->allocator);
  if (!b) return Status::no_memory();
  uint8_t* to = b->writable();
  size_t from = e->headroom;
  for (const Cut& c : e->cuts) {
    memcpy(to, e->base + from, c.at - from);
    to += c.at - from;
    memcpy(to, c.bytes.data, c.bytes.size);
    to += c.bytes.size;
    from = c.at;
  }
  if (e->base) memcpy(to, e->base + from, e->offset() - from);
  return b;
}

base::Result<base::Buffer*> take_chunk(Encoder* e, size_t* offset) {
  ZCRPC_TRY(seal(e));
  if (!e->chunk || e->base != e->chunk->data() || !e->cuts.empty()) return static_cast<base::Buffer*>(nullptr);
  *offset = e->headroom;
  base::Buffer* b = e->chunk;
  b->shrink(e->offset());
  e->chunk = nullptr;
  e->chunk_size = 0;
  e->base = e->p = e->end = nullptr;
  return b;
}

}  // namespace zcrpc::encode
