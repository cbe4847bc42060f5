#define ZCRPC_TAIL_NAME kTailBase
#define ZCRPC_TAIL_TEXT "tail calls"
#include "view/tail.h"
