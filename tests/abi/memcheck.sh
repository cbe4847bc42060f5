#!/usr/bin/env bash
# memcheck.sh ROOT BUILD WORK: somebody who runs memcheck over a program of his, with the library as it was built, is told files
# and lines of it: valgrind 3.19, Debian 12's, reads no DWARF 5 of clang's.
set -euo pipefail
export LC_ALL=C
root=$1 build=$2 work=$3/memcheck
mkdir -p "$work"
command -v valgrind >/dev/null || { echo "no valgrind; scripts/deps check installs it"; exit 1; }
cat >"$work/reads_freed.c" <<'C'
#include <stdlib.h>
#include <string.h>
#include <zcrpc.h>
int main(void) {
  char *text = malloc(8);
  memcpy(text, "gone", 5);
  free(text);
  zcrpc_error_free(zcrpc_error_new(ZCRPC_NOT_FOUND, text, 4));
  return 0;
}
C
gcc -w -g -I"$root/include" -o "$work/reads_freed" "$work/reads_freed.c" -L"$build/lib" -lzcrpc -Wl,-rpath,"$build/lib"
valgrind -q "$work/reads_freed" >"$work/said" 2>&1 || true
if grep -E '^###|unhandled|debuginfo reader' "$work/said"; then echo "valgrind cannot read the debug information"; exit 1; fi
grep -E ': zcrpc_error_new \(([^ )]*/)?error\.cc:[0-9]+\)' "$work/said" || { cat "$work/said"; echo "no line of src/capi/error.cc"; exit 1; }
