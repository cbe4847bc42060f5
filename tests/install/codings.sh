#!/usr/bin/env bash
# codings.sh SOURCE BUILD: the library without the codings that can be left out, each and all of them: it configures, asks for
# none of their libraries, at run time (pkg-config --static, the CMake package) or when it is linked, and without them all
# it builds without a warning, and its tests of codings pass.
set -euo pipefail
export LC_ALL=C
source=$1 build=$2
flags=(-G Ninja -DCMAKE_COMPILE_WARNING_AS_ERROR=ON -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ "-DCMAKE_C_FLAGS_RELEASE=-O0 -DNDEBUG" "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG")
fail() { echo "$*"; exit 1; }
declare -A libs=([ZSTD]="zstd" [BROTLI]="brotlienc brotlidec" [SNAPPY]="")

one() { # one CODING...: those are off
  local off=" $* " coding lib arguments=()
  for coding in ZSTD BROTLI SNAPPY; do
    case $off in *" $coding "*) arguments+=("-DZCRPC_$coding=OFF") ;; *) arguments+=("-DZCRPC_$coding=ON") ;; esac
  done
  cmake -S "$source" -B "$build" "${flags[@]}" "${arguments[@]}" -DZCRPC_TESTS="${TESTS:-OFF}" >"$build.log" 2>&1 || { tail -n 20 "$build.log"; fail "without$off: no configuration"; }
  export=$(find "$build/CMakeFiles/Export" -name 'zcrpc-targets.cmake')
  [ -n "$export" ] || fail "there is no CMake package"
  for coding in ZSTD BROTLI SNAPPY; do
    for lib in ${libs[$coding]}; do
      case $off in
        *" $coding "*) if grep -q -e "-l$lib\b" "$build/zcrpc.pc"; then fail "without$off: zcrpc.pc asks for $lib"; fi ;;
        *) grep -q -e "-l$lib\b" "$build/zcrpc.pc" || fail "without$off: zcrpc.pc does not ask for $lib" ;;
      esac
      if grep -q "$lib" "$export"; then fail "the shared library's package names $lib"; fi
    done
  done
  grep -q -e "^Libs: .*-lzcrpc$" "$build/zcrpc.pc" || fail "zcrpc.pc: Libs is not the library alone"
}
mkdir -p "$(dirname "$build")"
one
one ZSTD
one BROTLI
one SNAPPY
TESTS=ON one ZSTD BROTLI SNAPPY
tests=(rpc_request rpc_reply rpc_connect_client client_unary_test server_codings_off_test server_codings_client_test api_options)
ninja -C "$build" zcrpc zcrpc_static "${tests[@]}" >>"$build.log" 2>&1 || { tail -n 40 "$build.log"; fail "without codings: no build"; }
needed=$(readelf -dW "$build/lib/libzcrpc.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
if grep -E 'zstd|brotli|snappy' <<<"$needed"; then fail "the library needs that"; fi
regex="^($(IFS='|'; echo "${tests[*]}"))\$"
ctest --test-dir "$build" -R "$regex" --no-tests=error --output-on-failure >"$build-ctest.log" 2>&1 || { tail -n 60 "$build-ctest.log"; exit 1; }
[ "$(grep -c ' Passed ' "$build-ctest.log")" = ${#tests[@]} ] || fail "not all of ${tests[*]} ran"
# A program of C, with the shared library and with the static one and what pkg-config says.
gcc -std=c99 -I"$source/include" -o "$build/uses_shared" "$source/tests/install/make/uses_zcrpc.c" -L"$build/lib" -lzcrpc
LD_LIBRARY_PATH=$build/lib "$build/uses_shared" | grep -E ', features f$'
# shellcheck disable=SC2046
gcc -std=c99 -DZCRPC_STATIC -I"$source/include" -o "$build/uses_static" "$source/tests/install/make/uses_zcrpc.c" "$build/lib/libzcrpc.a" $(sed -n 's/^Libs.private: //p' "$build/zcrpc.pc")
"$build/uses_static" | grep -E ', features f$'
