#!/bin/sh
# strict.sh SOURCE PLUGIN PROTOC OUT: generated code of our trap files compiles without a warning in the whole matrix of
# compilers and standards, each file alone as C99 and C++11, and all in one translation unit otherwise.
set -eu
source=$1 plugin=$2 protoc=$3 out=$4
rm -rf "$out"
mkdir -p "$out"
cd "$source/tests/codegen/protos"
files=$(find . -name '*.proto' ! -path './editions/*' | sed 's|^\./||' | sort)
# shellcheck disable=SC2086
"$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out=lang=c:"$out" -I. $files google/protobuf/timestamp.proto \
  google/protobuf/descriptor.proto google/protobuf/wrappers.proto
npm=$source/build/deps/npm/node_modules/.bin
if [ ! -x "$npm/protoc" ]; then
  echo "npm's protoc is not there: scripts/deps check installs it"
  exit 1
fi
"$npm/protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out=lang=c:"$out" -I. editions/*.proto
cd "$out"
find . -name '*.zcrpc.c' | sort | sed 's|^\./\(.*\)|#include "\1"|' >all.c
flags="-Wall -Wextra -Wconversion -Wshadow -pedantic-errors -Werror -fsyntax-only -I$source/include -I."
compiled=0
for compiler in gcc clang-19; do
  command -v $compiler >/dev/null || continue
  # shellcheck disable=SC2086
  for file in $(find . -name '*.zcrpc.c' | sort); do
    $compiler -std=c99 -Wmissing-prototypes $flags "$file"
    $compiler -x c++ -std=c++11 $flags "$file"
    compiled=$((compiled + 2))
  done
  for standard in c99 c11 c17 c++11 c++20; do
    case $standard in *++*) language="-x c++" ;; *) language=-Wmissing-prototypes ;; esac
    # shellcheck disable=SC2086
    $compiler $language -std=$standard $flags all.c
    compiled=$((compiled + 1))
  done
done
[ $compiled -gt 0 ]
echo "$compiled compiles without a warning"
