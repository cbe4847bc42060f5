// The same with AVX2 and BMI2; compiled with -march=x86-64-v3.
#define ZCRPC_TAIL_NAME kTailV3
#define ZCRPC_TAIL_TEXT "tail calls, x86-64-v3"
#include "view/tail.h"
