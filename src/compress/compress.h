// The codings of content: by name from the wire, by number inside. A message is inflated under a hard limit on what comes
// out, which is enforced while it comes out, and compressed piece by piece. Contexts and buffers are pooled: a new zlib
// context costs 18 us.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "compress/registry.h"

namespace zcrpc::compress {

struct Codec;

// Idle contexts and buffers of one loop, with a bound on what they hold. Any thread: writers of streams compress where they
// are. The lock is held for a few instructions, twice a compressed message.
class Pool {
 public:
  static constexpr int kContexts = 4;              // idle ones of a coding and direction
  static constexpr size_t kIdle = size_t(4) << 20; // bytes that idle contexts hold together
  static constexpr int kBuffers = 32;
  static constexpr size_t kBuffer = 64 << 10;      // larger buffers are not kept

  // Buffers come from a; contexts do not.
  explicit Pool(const base::Allocator* a = base::default_allocator()) : a_(a) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    trim();
    pthread_mutex_destroy(&gate_);
  }
  void trim();  // frees what is idle

  // A buffer of at least that size that nobody else holds: one that was remembered, or a new one. nullptr: no memory.
  [[nodiscard]] base::Buffer* buffer(size_t least);
  // b, which was made with `capacity` bytes, is used again when its holders have let go. False: it is not kept.
  bool remember(base::Buffer* b, size_t capacity);

  std::atomic<uint64_t> inflates{0}, deflates{0};  // messages that were begun

 private:
  friend class Inflater;
  friend class Deflater;
  const base::Allocator* a_;
  struct Idle {
    void* context;
    size_t size;
  };
  struct Shelf {
    Idle idle[kContexts];
    int count = 0;
  };
  struct Known {
    base::Buffer* buffer = nullptr;
    size_t capacity = 0;
  };
  void* take(int side, Coding coding);
  bool give(int side, Coding coding, void* context, size_t size);  // false: there is no place

  class Locked {
   public:
    explicit Locked(Pool* p) : gate_(&p->gate_) { pthread_mutex_lock(gate_); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { pthread_mutex_unlock(gate_); }

   private:
    pthread_mutex_t* gate_;
  };

  pthread_mutex_t gate_ = PTHREAD_MUTEX_INITIALIZER;  // std::mutex may throw, and these folders have nothing that does
  Shelf shelves_[2][kBuiltIn];
  size_t idle_ = 0;
  Known known_[kBuffers];
};

// What the contexts of messages that are half here may hold together, those of one connection say. One thread.
struct Contexts {
  size_t held = 0, most = SIZE_MAX;
  // The most that one may come to hold; 0: it has none.
  static size_t size(Coding coding, size_t limit);
  // False: there is no room. If nothing else is held there always is.
  [[nodiscard]] bool take(size_t n) {
    if (held && (n > most || held > most - n)) return false;
    held += n;
    return true;
  }
  void give(size_t n) { held -= n; }
};

// One message on its way in.
class Inflater {
 public:
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { reset(); }

  bool open() const { return open_; }
  // limit: most bytes that may come out; exactly so many pass. into: memory of make to write to (its reference passes), or
  // null. resource_exhausted: no memory. Not for identity.
  base::Status begin(Pool* pool, Coding coding, size_t limit, const Registry& registry = kRegistry, base::Buffer* into = nullptr);
  // resource_exhausted: over the limit, told with the byte that goes over it, or no memory; invalid_argument: broken
  // data, or bytes behind its end. After an error only reset.
  base::Status feed(base::Slice in);
  // The message; its reference is the caller's. invalid_argument: the data were cut short. With size the buffer stays as
  // large as it is, and the message is its first *size bytes.
  base::Result<base::Buffer*> finish(size_t* size = nullptr);
  void reset();
  size_t size() const { return size_; }  // bytes that have come out

 private:
  base::Status room();
  base::Status keep(base::Slice in);
  base::Status expand();
  Pool* pool_ = nullptr;
  const Codec* codec_ = nullptr;  // nullptr: one of the application's, own_
  const Own* own_ = nullptr;
  void* context_ = nullptr;
  base::Buffer* out_ = nullptr;
  base::Buffer* raw_ = nullptr;   // own_: what came in
  size_t raw_size_ = 0;
  size_t size_ = 0, limit_ = 0;
  Coding coding_ = Coding::kIdentity;
  bool open_ = false;
  bool ended_ = false;            // an end was seen, and nothing behind it
};

// One message on its way out.
class Deflater {
 public:
  Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { reset(); }

  // level: 0 the coding's default; what it does not have is its nearest. size: how many bytes will come; 0: not known.
  base::Status begin(Pool* pool, Coding coding, int level, size_t size, const Registry& registry = kRegistry);
  base::Status feed(base::Slice in);
  base::Result<base::Buffer*> finish();  // the reference is the caller's
  void reset();

 private:
  base::Status run(base::Slice in, bool last);
  base::Status compress();
  Pool* pool_ = nullptr;
  const Codec* codec_ = nullptr;
  const Own* own_ = nullptr;
  void* context_ = nullptr;
  base::Buffer* out_ = nullptr;
  base::Buffer* raw_ = nullptr;
  size_t raw_size_ = 0;
  size_t size_ = 0;
  Coding coding_ = Coding::kIdentity;
};

}  // namespace zcrpc::compress
