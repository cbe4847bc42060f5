// The codings of content, behind one registry: by name from the wire, by number inside. A message is inflated while it
// arrives, under a hard limit on what comes out, and compressed piece by piece. Contexts are pooled: a new zlib context
// costs 18 us.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

namespace zcrpc::compress {

// Numbers are places in the registry; a set of codings is a mask of 1 << number.
enum class Coding : uint8_t { kIdentity = 0, kGzip = 1, kUnknown = 255 };
constexpr uint32_t bit(Coding c) { return c == Coding::kUnknown ? 0 : 1u << uint32_t(c); }

// Case does not matter. "" is identity; what this build lacks is kUnknown.
Coding coding_from_name(std::string_view name);
std::string_view coding_name(Coding c);
// All but identity, by comma, as accept-encoding lists them: "gzip".
std::string_view supported_codings();
// What to tell a peer whose coding is kUnknown: it names those that there are.
const char* unknown_coding_text();

class Inflater;
class Deflater;

// Idle contexts of one loop. One thread at a time. Keeps at most a few; outlives what was taken from it.
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();
  void trim();  // frees idle contexts

 private:
  friend class Inflater;
  friend class Deflater;
  static constexpr int kKept = 4;
  void* idle_in_[kKept] = {};
  void* idle_out_[kKept] = {};
  int in_ = 0, out_ = 0;
};

// One message on its way in.
class Inflater {
 public:
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { reset(); }

  bool open() const { return context_ != nullptr; }
  // limit: most bytes that may come out; exactly so many pass. resource_exhausted: no memory. Not for identity.
  base::Status begin(Pool* pool, Coding coding, size_t limit);
  // resource_exhausted: over the limit, told with the byte that goes over it, or no memory; invalid_argument: broken
  // data, or bytes behind its end. After an error only reset.
  base::Status feed(base::Slice in);
  // The message; its reference is the caller's. invalid_argument: the data were cut short.
  base::Result<base::Buffer*> finish();
  void reset();
  size_t size() const { return size_; }  // bytes that have come out

 private:
  base::Status room();
  Pool* pool_ = nullptr;
  void* context_ = nullptr;
  base::Buffer* out_ = nullptr;
  size_t size_ = 0, limit_ = 0;
  bool ended_ = false;  // a member's end was seen, and nothing behind it
};

// One message on its way out.
class Deflater {
 public:
  Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { reset(); }

  // level: 1 to 9, 0 the coding's default. size_hint: bytes to come, for the first allocation; 0: not known.
  base::Status begin(Pool* pool, Coding coding, int level, size_t size_hint);
  base::Status feed(base::Slice in);
  base::Result<base::Buffer*> finish();  // the reference is the caller's
  void reset();

 private:
  base::Status run(int flush);
  Pool* pool_ = nullptr;
  void* context_ = nullptr;
  base::Buffer* out_ = nullptr;
  size_t size_ = 0;
};

}  // namespace zcrpc::compress
