// Any bytes, of the types of decode_fuzz.cc and from inputs of the same shape: straight-line decoders of generated code,
// for the better machine and for every machine, answer like the library's tables, index byte for byte; eagerly and with
// unknown fields dropped, on the usual budget and on one that is too small.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "support/decoders.h"
#include "view_log.zcrpc.h"
#include "view_three.zcrpc.h"
#include "view_two.zcrpc.h"

namespace {

struct Type {
  zcrpc_file* file;
  uint32_t message;
};

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

Type type_of(const char* name) {
  for (zcrpc_file* f : {&viewtest_two_view_two_file, &viewtest_three_view_three_file, &bench_v1_view_log_file})
    for (uint32_t i = 0; i < f->message_count; i++)
      if (!std::strcmp(zcrpc_type_name(zcrpc_file_type(f, i, nullptr)), name)) return {f, i};
  give_up(name);
}

struct World {
  static constexpr const char* kNames[] = {
      "viewtest.two.Singles", "viewtest.two.Defaults", "viewtest.two.Lists", "viewtest.two.Packs", "viewtest.two.Tree", "viewtest.two.Mix",
      "viewtest.two.Oneofs", "viewtest.two.Wide", "viewtest.three.Singles", "viewtest.three.Presence", "viewtest.three.Lists",
      "viewtest.three.Packs", "viewtest.three.Tree", "viewtest.three.Mix", "viewtest.three.Oneofs", "viewtest.three.Wide", "bench.v1.LogBatch"};
  static constexpr size_t kTypes = sizeof kNames / sizeof *kNames;
  Type types[kTypes];
  zcrpc_file baseline[kTypes];
  zcrpc_decoders decoders[kTypes];
  zcrpc_arena* arena = zcrpc_arena_new(nullptr);
  zcrpc_options* dropping = zcrpc_options_new(ZCRPC_FOR_DECODE, nullptr);
  zcrpc_options* tight = zcrpc_options_new(ZCRPC_FOR_DECODE, nullptr);
  World() {
    for (size_t i = 0; i < kTypes; i++) {
      types[i] = type_of(kNames[i]);
      baseline[i] = baseline_of(types[i].file, &decoders[i]);
    }
    if (!arena || zcrpc_options_set_int(dropping, ZCRPC_DECODE_DROP_UNKNOWN, 1, nullptr) != ZCRPC_OK) give_up("set-up");
  }
};

void compare(World& w, size_t which, const uint8_t* data, size_t size, zcrpc_buffer* buffer) {
  const zcrpc_options* const some[] = {nullptr, w.dropping, w.tight};
  for (const zcrpc_options* o : some)
    for (zcrpc_file* f : {w.types[which].file, &w.baseline[which]})
      if (const char* wrong = compare_decoders(f, w.types[which].message, data, size, buffer, o, w.arena)) give_up(wrong);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World* const w = new World;
  if (size == 0) return 0;
  const size_t which = data[0] % World::kTypes;
  // A budget that ends somewhere in the message, told by its bytes, so that an input replays.
  const int64_t budget = 128 + int64_t(size) * (data[size - 1] % 8);
  if (zcrpc_options_set_int(w->tight, ZCRPC_DECODE_MAX_INDEX, budget, nullptr) != ZCRPC_OK) give_up("a budget");
  data++, size--;
  auto* exact = static_cast<uint8_t*>(std::malloc(size ? size : 1));
  if (!exact) return 0;
  std::memcpy(exact, data, size);
  compare(*w, which, exact, size, nullptr);
  void* room;
  if (zcrpc_buffer* b = zcrpc_buffer_new(size, &room, nullptr)) {
    std::memcpy(room, data, size);
    compare(*w, which, nullptr, size, b);
    zcrpc_arena_reset(w->arena);
    zcrpc_buffer_release(b);
  }
  std::free(exact);
  return 0;
}
