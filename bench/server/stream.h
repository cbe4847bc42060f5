/* The handler of bench.v1.Stream/Fetch. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "stream.zcrpc.h"

void stream_fetch(zcrpc_call *call, const zcrpc_event *event, const bench_v1_FetchRequest *message, void *user);

#endif
