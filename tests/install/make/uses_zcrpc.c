/* The header and the library that are installed belong together, and the library works. */
#include <stdio.h>
#include <string.h>
#include <zcrpc.h>

int main(void) {
  zcrpc_error *error = zcrpc_error_new(ZCRPC_NOT_FOUND, "no such thing", ZCRPC_NTS);
  int ok = zcrpc_version() == ZCRPC_VERSION && zcrpc_layout() == ZCRPC_LAYOUT &&
           zcrpc_error_code(error) == ZCRPC_NOT_FOUND && strcmp(zcrpc_code_name(ZCRPC_NOT_FOUND), "not_found") == 0;
  zcrpc_error_free(error);
  printf("zcrpc %06x, features %llx\n", (unsigned)zcrpc_version(), (unsigned long long)zcrpc_features());
  return ok ? 0 : 1;
}
