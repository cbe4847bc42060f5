// cmocka for C++ tests: the headers it wants before it, in their order.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

// Macros in the way of ordinary names; fail_msg does what fail does.
#undef skip
#undef fail
