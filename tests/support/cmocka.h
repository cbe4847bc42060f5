// cmocka for C++ tests: the headers it wants before it, in their order.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

// A macro in the way of an ordinary name.
#undef skip
