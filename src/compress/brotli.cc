// br. Its library's states cannot be used again, so what is kept from message to message is the memory that they ask for.
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <setjmp.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "compress/codec.h"

namespace zcrpc::compress {

namespace {

constexpr int kLevel = 5;  // the best that costs about what gzip does
constexpr size_t kKept = size_t(1) << 20;  // bytes that an idle context holds

// Blocks that were given back and may be asked for again, and a bound on all together.
class Memory {
 public:
  ~Memory() { drop(); }
  void bound(size_t most) { most_ = most; }
  size_t idle() const { return idle_; }
  void drop() {
    while (Block* b = free_) {
      free_ = b->next;
      std::free(b);
    }
    idle_ = 0;
  }
  // What was not given back never will be.
  void take_back() {
    while (used_first_) put(used_first_);
  }
  // Want of memory goes there while it is set: the encoder of this library would end the process.
  jmp_buf* want = nullptr;

  static void* alloc(void* self, size_t size) {
    auto* m = static_cast<Memory*>(self);
    void* p = m->get(size);
    if (!p && m->want) longjmp(*m->want, 1);
    return p;
  }
  static void free(void* self, void* p) {
    if (p) static_cast<Memory*>(self)->put(static_cast<Block*>(p) - 1);
  }

 private:
  struct alignas(16) Block {
    size_t size;
    Block *next, *prev;
  };
  void* use(Block* b) {
    used_ += b->size;
    b->prev = nullptr;
    b->next = used_first_;
    if (used_first_) used_first_->prev = b;
    used_first_ = b;
    return b + 1;
  }
  void* get(size_t size) {
    for (Block** at = &free_; Block* b = *at; at = &b->next) {
      if (b->size < size || b->size / 2 > size) continue;
      *at = b->next;
      idle_ -= b->size;
      return use(b);
    }
    if (size > most_ || used_ > most_ - size) return nullptr;
    // Blocks that each were too small for what came next count too.
    if (idle_ > most_ - size - used_) drop();
    auto* b = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (!b) return nullptr;
    b->size = size;
    return use(b);
  }
  void put(Block* b) {
    (b->prev ? b->prev->next : used_first_) = b->next;
    if (b->next) b->next->prev = b->prev;
    used_ -= b->size;
    idle_ += b->size;
    b->next = free_;
    free_ = b;
  }
  Block *free_ = nullptr, *used_first_ = nullptr;
  size_t used_ = 0, idle_ = 0, most_ = SIZE_MAX;
};

struct In {
  Memory memory;
  BrotliDecoderState* state = nullptr;
};
struct Out {
  Memory memory;
  BrotliEncoderState* state = nullptr;
};

template <class T>
size_t rest(T* t) {
  if (t->memory.idle() > kKept) t->memory.drop();
  return t->memory.idle();
}

void end(In* i) {
  if (i->state) BrotliDecoderDestroyInstance(i->state);
  i->state = nullptr;
}
void end(Out* o) {
  if (o->state) BrotliEncoderDestroyInstance(o->state);
  o->state = nullptr;
}

size_t most_in(size_t limit) { return limit > SIZE_MAX / 8 ? SIZE_MAX : 4 * limit + (1 << 20); }

bool start_in(void* c, size_t limit) {
  auto* i = static_cast<In*>(c);
  end(i);
  // The library makes its ring as large as a block says that it will be: believed up to what the message may be. Besides,
  // it holds tables, and twice the ring while that grows.
  i->memory.bound(most_in(limit));
  i->state = BrotliDecoderCreateInstance(Memory::alloc, Memory::free, &i->memory);
  return i->state != nullptr;
}

Step step_in(void* c, Cut* cut) {
  auto* i = static_cast<In*>(c);
  BrotliDecoderResult r = BrotliDecoderDecompressStream(i->state, &cut->in_size, &cut->in, &cut->room, &cut->out, nullptr);
  if (r == BROTLI_DECODER_RESULT_SUCCESS) return Step::kEnd;
  if (r != BROTLI_DECODER_RESULT_ERROR) return Step::kMore;
  BrotliDecoderErrorCode e = BrotliDecoderGetErrorCode(i->state);
  bool memory = e <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && e >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
  return memory ? Step::kNoMemory : Step::kBroken;
}

bool start_out(void* c, int level, size_t size) {
  auto* o = static_cast<Out*>(c);
  end(o);
  o->state = BrotliEncoderCreateInstance(Memory::alloc, Memory::free, &o->memory);
  if (!o->state) return false;
  BrotliEncoderSetParameter(o->state, BROTLI_PARAM_QUALITY, uint32_t(level <= 0 ? kLevel : std::min(level, BROTLI_MAX_QUALITY)));
  // A window that is no larger than what comes: less memory here and there.
  int window = size ? std::clamp(int(std::bit_width(size + 16)), BROTLI_MIN_WINDOW_BITS + 6, BROTLI_DEFAULT_WINDOW) : BROTLI_DEFAULT_WINDOW;
  BrotliEncoderSetParameter(o->state, BROTLI_PARAM_LGWIN, uint32_t(window));
  if (size) BrotliEncoderSetParameter(o->state, BROTLI_PARAM_SIZE_HINT, uint32_t(std::min<size_t>(size, 1u << 30)));
  return true;
}

Step step_out(void* c, Cut* cut, bool last) {
  auto* o = static_cast<Out*>(c);
  if (!o->state) return Step::kNoMemory;
  jmp_buf want;
  if (setjmp(want)) {
    o->memory.want = nullptr;
    o->state = nullptr;  // it lay in that memory
    o->memory.take_back();
    return Step::kNoMemory;
  }
  o->memory.want = &want;
  bool done = BrotliEncoderCompressStream(o->state, last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS, &cut->in_size, &cut->in, &cut->room,
                                          &cut->out, nullptr);
  o->memory.want = nullptr;
  if (!done) return Step::kNoMemory;  // it tells nothing but that it failed
  return BrotliEncoderIsFinished(o->state) ? Step::kEnd : Step::kMore;
}

template <class T>
void* open() {
  void* p = std::malloc(sizeof(T));
  return p ? new (p) T : nullptr;
}
template <class T>
void close(void* c) {
  end(static_cast<T*>(c));
  static_cast<T*>(c)->~T();
  std::free(c);
}

}  // namespace

const Codec kBrotliCodec = {
    open<In>,
    close<In>,
    start_in,
    step_in,
    nullptr,
    [](void* c) {
      end(static_cast<In*>(c));
      return rest(static_cast<In*>(c));
    },
    open<Out>,
    close<Out>,
    start_out,
    step_out,
    [](void* c) {
      end(static_cast<Out*>(c));
      return rest(static_cast<Out*>(c));
    },
    most_in,
};

}  // namespace zcrpc::compress
