#!/usr/bin/env bash
# cross.sh SOURCE BUILD ARCH: the codec's unit tests for another machine, run by qemu-user. arm and s390x with UBSan (and
# so with the dispatcher of a computed goto); aarch64 as it is released, with that of tail calls.
set -euo pipefail
export LC_ALL=C
source=$1 build=$2 arch=$3
case $arch in
  aarch64) cxx="-O2" ;;
  *) cxx="-O1 -fsanitize=undefined -fno-sanitize-recover=all" ;;
esac
flags=(-DCMAKE_TOOLCHAIN_FILE="$source/cmake/toolchains/$arch.cmake" -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_COMPILE_WARNING_AS_ERROR=ON -DZCRPC_CLIENT=OFF -DZCRPC_SERVER=OFF -DZCRPC_TLS=OFF -DZCRPC_JSON=OFF -DZCRPC_TESTS=OFF -DZCRPC_PROGRAMS=OFF -DZCRPC_BARE_TESTS=ON
  "-DCMAKE_CXX_FLAGS=$cxx" "-DCMAKE_C_FLAGS=$cxx" -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG -DCMAKE_C_FLAGS_RELEASE=-DNDEBUG)
cmake -S "$source" -B "$build" -G Ninja "${flags[@]}" >"$build.log" 2>&1 || { tail -n 20 "$build.log"; exit 1; }
ninja -C "$build" >>"$build.log" 2>&1 || { tail -n 40 "$build.log"; exit 1; }
ctest --test-dir "$build" --output-on-failure >"$build-ctest.log" 2>&1 || { tail -n 60 "$build-ctest.log"; exit 1; }
sum=$(grep -h "bytes written" "$build/Testing/Temporary/LastTest.log" | tail -n 1)
# The bytes that the codec writes are the same everywhere: this is what x86-64 writes.
[ "$sum" = "$(cat "$source/tests/bare/bytes.golden")" ] || { echo "$arch writes other bytes: $sum"; exit 1; }
echo "$arch: $(grep -c Passed "$build-ctest.log") programs passed, $sum"
