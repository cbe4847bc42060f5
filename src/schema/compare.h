// Whether two messages are equal, and a hash that agrees with it, straight from their views.
//
// Equal are messages of the same type (by fingerprint) that set the same fields to the same values:
// - presence counts where a field has it: an explicit default differs from an absent field, an empty sub-message from none;
// - numbers are equal if they are the same number on the wire: -0 differs from 0, and every NaN equals every NaN;
// - repeated fields keep their order; maps have none;
// - unknown fields are equal if they are the same ones in the same order, however their varints were written.
// It is an equivalence: every message equals itself, NaN and all, which protobuf's own operators do not promise.
#pragma once

#include <cstdint>

#include "schema/view.h"

namespace zcrpc::schema {

enum class Equal : int8_t { kNo = 0, kYes = 1, kNoMemory = -1 };
// nullptr is the empty message. kNoMemory: large maps in different orders, and no memory to sort them.
Equal equal(View a, View b);
// Equal messages have equal hashes for the same seed, on every machine; a secret seed keeps others from choosing
// messages that collide. nullptr hashes as the empty message.
uint64_t hash(View v, uint64_t seed);

}  // namespace zcrpc::schema
