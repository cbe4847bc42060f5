/* An application's functions in C++ that throw: throwing.cc. They throw as a text says: "runtime" a std::runtime_error, "own" an
 * exception of the application's, "alloc" std::bad_alloc, "number" 42, "nested" from within a catch, "finished" after it has
 * answered. The text of what they throw has the word "hunter2" in it, where it has one. */
#ifndef TESTS_API_THROWING_H
#define TESTS_API_THROWING_H

#include <zcrpc.h>

#ifdef __cplusplus
extern "C" {
#endif

zcrpc_code throw_unary(zcrpc_call *call, const zcrpc_view *request, zcrpc_encoder *reply, void *user);
/* Throws at the event whose number is in *(int *)user. */
void throw_at_event(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user);
zcrpc_code throw_intercept(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user);
void throw_observe(const zcrpc_call_record *record, void *user); /* when *(int *)user */
void throw_http(zcrpc_call *call, const zcrpc_http *request, void *user); /* "/late" after it has begun to answer */
void throw_reply(zcrpc_call *call, const zcrpc_event *event, const zcrpc_view *message, void *user); /* counts in *(int *)user */

void throw_release(const void *data, size_t n, void *user);
int throwing_locals(void);   /* objects of the stacks that were left and not destroyed */
int throwing_uncaught(void); /* std::uncaught_exceptions() as the last function began */

#ifdef __cplusplus
}
#endif

#endif
