#!/usr/bin/env bash
# headers.sh ROOT WORKDIR: each public header alone and twice, in every language we promise, with both compilers.
set -u
root=$1 work=$2/headers
mkdir -p "$work"
rc=0 count=0
for compiler in gcc g++ clang-19 clang++-19; do
  command -v "$compiler" >/dev/null || { echo "no $compiler; scripts/deps check installs it"; exit 1; }
done
flags="-Wall -Wextra -Wconversion -pedantic-errors -Werror -I$root/include -fsyntax-only"
try() { # try COMPILER STANDARD FILE HEADER
  # shellcheck disable=SC2086
  "$1" "-std=$2" $flags "$3" || { echo "FAILED: $4 with $1 -std=$2"; rc=1; }
  count=$((count + 1))
}
cd "$root/include" || exit 1
for header in $(find . -name '*.h' | sed 's#^\./##' | sort); do
  name=$(echo "$header" | tr '/.' '__')
  printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$header" "$header" >"$work/$name.c"
  cp "$work/$name.c" "$work/$name.cc"
  for standard in c99 c11 c17; do
    try gcc $standard "$work/$name.c" "$header"
    try clang-19 $standard "$work/$name.c" "$header"
  done
  for standard in c++11 c++17 c++20; do
    try g++ $standard "$work/$name.cc" "$header"
    try clang++-19 $standard "$work/$name.cc" "$header"
  done
done
echo "$count compilations"
[ "$count" -gt 0 ] && exit $rc
