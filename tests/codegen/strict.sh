#!/bin/sh
# strict.sh SOURCE PLUGIN PROTOC OUT: generated code compiles without a warning, as C99 and C++11, with gcc and clang.
set -eu
source=$1 plugin=$2 protoc=$3 out=$4
rm -rf "$out"
mkdir -p "$out"
cd "$source/tests/codegen/protos"
files=$(find . -name '*.proto' ! -path './editions/*' | sed 's|^\./||' | sort)
# shellcheck disable=SC2086
"$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out=lang=c:"$out" -I. $files google/protobuf/timestamp.proto
cd "$out"
flags="-Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -pedantic-errors -Werror -fsyntax-only -I$source/include -I."
compiled=0
for compiler in gcc clang-19; do
  command -v $compiler >/dev/null || continue
  # shellcheck disable=SC2086
  for file in $(find . -name '*.zcrpc.c' | sort); do
    $compiler -std=c99 $flags "$file"
    $compiler -x c++ -std=c++11 $(echo "$flags" | sed 's/-Wmissing-prototypes//') "$file"
    compiled=$((compiled + 2))
  done
done
[ $compiled -gt 0 ]
echo "$compiled compiles without a warning"
