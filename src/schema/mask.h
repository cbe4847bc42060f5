// Field masks: paths of fields as in google.protobuf.FieldMask ("id,source.file"). Two views of them:
// - a list of paths, without a type: normalise, intersect, covers (union is both lists, normalised);
// - a trie against a type, in an arena, for whoever walks a message: decoder, edits.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/status.h"
#include "base/vec.h"
#include "schema/schema.h"

namespace zcrpc::schema {

// ---- Tries

// A selected field and what is selected of it. The root stands for the message itself.
struct MaskNode {
  const Field* field = nullptr;   // nullptr: the root
  const Message* type = nullptr;  // whose fields the children are; nullptr: `field` is no message. Of a map: the entry
  bool whole = false;             // all of it is selected; there are no children then
  uint32_t count = 0;
  MaskNode** rows = nullptr;      // ascending by field number

  std::span<MaskNode* const> children() const { return {rows, count}; }
  // What is selected of the field of that number; nullptr: nothing.
  const MaskNode* child(uint32_t number) const;
  bool empty() const { return !whole && count == 0; }

  uint32_t capacity = 0;
};

// How far a path may lead. FieldMask itself allows a repeated field as the last segment only.
enum MaskFlags : uint32_t {
  kMaskStrict = 0,
  kMaskThroughRepeated = 1,  // "records.severity": of each element
  kMaskThroughMaps = 2,      // "labels.value.text": the entry's fields are named key and value
};

// A path deeper than this is refused, so that whoever walks a trie may recurse.
inline constexpr uint32_t kMaskDepth = wire::kMaxDepth;

// Paths with commas between them against a type; an empty one is skipped. A segment is the name in the .proto file; an
// extension that the schema knows is "[full.name]". A path below one that is selected adds nothing; one above takes its
// place. All memory is the arena's. invalid_argument: no such field, or more segments behind a field that is no message
// (or repeated, or a map: flags); the error has the path, and the byte in `paths` where the segment begins.
base::Result<MaskNode*> mask_compile(const Message* type, std::string_view paths, uint32_t flags, base::Arena* arena);
// The same path by path (of a repeated string field, say): a root, which selects nothing (nullptr: no memory), and one
// path more. On failure the trie may hold a part of the path: drop it.
MaskNode* mask_root(const Message* type, base::Arena* arena);
base::Status mask_add(MaskNode* root, std::string_view path, uint32_t flags, base::Arena* arena);
// Whether the path names a field, as mask_add would have it.
bool mask_valid(const Message* type, std::string_view path, uint32_t flags);

// ---- Lists of paths

using Paths = base::Vec<std::string_view>;

// Takes a list with commas apart, without empty paths; the text must outlive it. False: no memory.
[[nodiscard]] bool split_paths(std::string_view text, Paths* out);
// Whether `path` is `above` or lies below it: "a.b" covers "a.b" and "a.b.c", not "a.bc".
bool path_covers(std::string_view above, std::string_view path);
// Ascending, without duplicates, and without paths that another one covers.
void normalise_paths(Paths* paths);
// Whether a normalised list has the path, or one that covers it.
bool paths_cover(const Paths& normalised, std::string_view path);
// What is selected by both of two normalised lists, normalised. False: no memory.
[[nodiscard]] bool intersect_paths(const Paths& a, const Paths& b, Paths* out);

}  // namespace zcrpc::schema
