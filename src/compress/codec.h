// What one of the build's codings does for Inflater and Deflater: contexts, and single steps over pieces of memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compress/registry.h"

namespace zcrpc::compress {

// What a step reads and writes; it moves both forward.
struct Cut {
  const uint8_t* in;
  size_t in_size;
  uint8_t* out;
  size_t room;
};

enum class Step : uint8_t {
  kMore,      // it took all of the input, or filled the room
  kEnd,       // the data may end here
  kBroken,
  kNoMemory,
};

struct Codec {
  void* (*open_in)();  // nullptr: no memory
  void (*close_in)(void* c);
  // Makes it ready for a message of which at most limit bytes are wanted. False: no memory.
  bool (*start_in)(void* c, size_t limit);
  Step (*inflate)(void* c, Cut* cut);
  bool (*again)(void* c, uint8_t next);  // behind an end comes this byte: does something begin there? nullptr: never
  size_t (*rest_in)(void* c);            // becomes idle; the bytes that it holds then

  void* (*open_out)();
  void (*close_out)(void* c);
  bool (*start_out)(void* c, int level, size_t size);  // level 0: the default; size 0: not known
  Step (*deflate)(void* c, Cut* cut, bool last);       // kEnd: all is out; kBroken: a mistake of ours
  size_t (*rest_out)(void* c);
  size_t (*most_in)(size_t limit);       // bytes that a context may hold in the middle of a message
};

const Codec* codec_of(Coding c);  // nullptr: not in this build, or not one of its

extern const Codec kGzipCodec, kDeflateCodec, kZstdCodec, kBrotliCodec, kSnappyCodec;

}  // namespace zcrpc::compress
