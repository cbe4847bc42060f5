// The forward encoder: fields out as wire bytes, in one pass, lengths predicted. The first mistake sticks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"
#include "schema/mask.h"
#include "schema/schema.h"
#include "schema/view.h"

namespace zcrpc::encode {

// The first words of every Encoder are zcrpc/codegen.h's zcrpc_cursor: generated code writes at p while it stays
// below end, and opens and closes sub-messages. An encoder that has failed keeps end == p, so that every put goes out of line.
class Encoder;

// nullptr without memory; type may be null until reset. All it needs, but for an edit, comes from the allocator.
Encoder* encoder_new(const schema::Message* type, const base::Allocator* a = base::default_allocator());
void encoder_free(Encoder* e);
// Forgets all and starts a message of that type; keeps memory (trim gives it back). headroom: bytes left free before
// the message in the first chunk of output, for a caller that writes frame and envelope heads there.
void reset(Encoder* e, const schema::Message* type, size_t headroom = 0);
// The same into the caller's memory, which has to last until the next reset; what does not fit moves to memory of the
// encoder's own. in_place() tells, at the end, whether it did fit: then the message lies at `memory`, size() long.
void reset_in(Encoder* e, const schema::Message* type, uint8_t* memory, size_t capacity);
bool in_place(const Encoder* e);
void expect(Encoder* e, size_t n);                   // so many bytes are likely to come: makes room at once
void trim(Encoder* e, size_t keep);                  // after reset: frees own memory if it is more than that
const schema::Message* type_of(Encoder* e);          // of the innermost open message

// Puts by field number check number, kind and range; by Field they trust the caller (JSON, text, copies).
void put_int64(Encoder* e, uint32_t field, int64_t v);
void put_uint64(Encoder* e, uint32_t field, uint64_t v);
void put_double(Encoder* e, uint32_t field, double v);
void put_string(Encoder* e, uint32_t field, base::Slice s);
void put_buffer(Encoder* e, uint32_t field, base::Buffer* b, size_t offset, size_t size);
void put_view(Encoder* e, uint32_t field, schema::View v);             // byte for byte through its wire range
void put_int64s(Encoder* e, uint32_t field, const int64_t* v, size_t n);
void put_doubles(Encoder* e, uint32_t field, const double* v, size_t n);
void put_array(Encoder* e, uint32_t field, const void* v, size_t n);    // native numbers, schema::slot_width apart
void put_raw(Encoder* e, base::Slice fields);
void begin(Encoder* e, uint32_t field);
void end(Encoder* e);

void put_number(Encoder* e, const schema::Field* f, uint64_t bits);  // bits as schema::bits_at gives them; unpacked
// Memory from which 32 bytes may be read at every place up to `span` bytes behind `begin`: strings in it are copied in
// whole blocks. Others may be given, too.
struct Around {
  uintptr_t begin = UINTPTR_MAX;  // where nothing lies
  size_t span = 0;
  Around() = default;
  explicit Around(base::Slice s) {
    if (s.size >= 32) begin = reinterpret_cast<uintptr_t>(s.data), span = s.size - 32;
  }
  bool holds(const uint8_t* s) const { return reinterpret_cast<uintptr_t>(s) - begin <= span; }
};
void put_bytes(Encoder* e, const schema::Field* f, base::Slice s, const Around& around = {});  // string or bytes; UTF-8 is the caller's duty
void put_pair(Encoder* e, const schema::Field* map, base::Slice key, base::Slice value, const Around& around = {});  // of a map of strings
void begin_field(Encoder* e, const schema::Field* f);                // sub-message, group or map entry
void begin_packed(Encoder* e, const schema::Field* f);               // then put_element..., then end
void put_element(Encoder* e, const schema::Field* f, uint64_t bits); // no tag

// The whole of a message again, from its view: known fields in ascending order, then unknown ones; merged and
// de-duplicated as decoded. Into the message under construction.
void put_fields(Encoder* e, schema::View v);
// Of a view that a projection has decoded: without members of oneofs that its mask does not name.
void put_named(Encoder* e, schema::View v, const schema::MaskNode* mask);
// As put_fields, with the entries of maps by ascending key: equal messages give equal bytes, if their unknown fields are equal
// byte for byte.
void put_deterministic(Encoder* e, schema::View v);

// ---- Edits (edit.h tells how). They need edit() first; without it each is a mistake. Puts of numbers, strings, messages
// then set a singular field in its place (and clear the other members of its oneof), append to a repeated one, and set a
// map's key; begin opens the message that is there.

// Forgets all, and starts from v, of whose type the message is; nullptr: from an empty message of the encoder's type. What
// lies in a counted buffer is held; other bytes of v must stay until the result is there. Fields not touched pass byte
// for byte and in their order.
void edit(Encoder* e, schema::View v);
void begin_at(Encoder* e, uint32_t field, size_t i);       // an element of a repeated message field
void begin_key(Encoder* e, uint32_t field, base::Slice key);  // the message of that key, or a new one
void begin_key_int(Encoder* e, uint32_t field, int64_t key);
void clear(Encoder* e, uint32_t field);                    // a number that the type does not have: unknown fields
void remove_at(Encoder* e, uint32_t field, size_t i);
void remove_key(Encoder* e, uint32_t field, base::Slice key);
void remove_key_int(Encoder* e, uint32_t field, int64_t key);
void put_int64_at(Encoder* e, uint32_t field, size_t i, int64_t v);
void put_uint64_at(Encoder* e, uint32_t field, size_t i, uint64_t v);
void put_double_at(Encoder* e, uint32_t field, size_t i, double v);
void put_string_at(Encoder* e, uint32_t field, size_t i, base::Slice s);
void merge(Encoder* e, schema::View v);                    // protobuf's merge into the open message
void trim_to(Encoder* e, const schema::MaskNode* mask);    // drops what the mask does not name, unknown fields too
enum : uint32_t { kMaskReplaceMessages = 1, kMaskReplaceRepeated = 2 };
// What the mask names of v: numbers and strings are set, or cleared where v has none; messages merged and elements
// appended, unless flags say that they replace what there is.
void merge_masked(Encoder* e, schema::View v, const schema::MaskNode* mask, uint32_t flags);
// The message as it stands, which stays open, in one new buffer. Of an encoder that does not edit: failed_precondition.
base::Result<base::Buffer*> snapshot(Encoder* e);

bool is_editing(const Encoder* e);
const schema::Message* root_of(const Encoder* e);    // type of the whole message

bool failed(const Encoder* e);
base::Status take_status(Encoder* e);                // why; OK if it has not failed
void fail(Encoder* e, base::Status s);               // sticks, unless one sticks already; its path is the open field's
size_t size(const Encoder* e);                       // bytes of the message so far, references counted

// Results. Each seals the message: later puts are mistakes until reset. Open sub-messages are one, too.
// One buffer with everything; its reference is the caller's.
base::Result<base::Buffer*> finish(Encoder* e);
// The parts in order, borrowed until reset. A part whose buffer is set is by reference and retained by the encoder.
struct Part {
  base::Slice bytes;
  base::Buffer* buffer;  // nullptr: encoder's own memory
};
base::Result<std::span<const Part>> gather(Encoder* e);
// The message where it lies, if nothing of it is by reference (null data otherwise: gather). Borrowed until reset; the
// headroom before it may be written.
base::Result<base::Slice> contiguous(Encoder* e);
// The chunk itself, without a copy: the message lies `offset` (the headroom) into it and the encoder forgets it.
// nullptr in an ok result: something is by reference, or it lies in memory of the caller.
base::Result<base::Buffer*> take_chunk(Encoder* e, size_t* offset);

// Bytes that put_fields would write, without writing (SIZE_MAX: no memory for the walk); and a bound without a walk.
size_t encoded_size(schema::View v);
size_t encoded_bound(schema::View v);

}  // namespace zcrpc::encode
