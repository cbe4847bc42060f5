#!/usr/bin/env bash
# host.sh SOURCE BUILD: the library with client, server, TLS and JSON switched off. It may need libc and libm only, and
# of libc no files, locales, threads or processes. Then its unit tests, without cmocka.
set -euo pipefail
export LC_ALL=C
source=$1 build=$2
flags=(-DCMAKE_BUILD_TYPE=Release -DZCRPC_CLIENT=OFF -DZCRPC_SERVER=OFF -DZCRPC_TLS=OFF -DZCRPC_JSON=OFF
  -DZCRPC_TESTS=OFF -DZCRPC_PROGRAMS=OFF -DZCRPC_BARE_TESTS=ON "-DCMAKE_CXX_FLAGS_RELEASE=-Os -DNDEBUG" "-DCMAKE_C_FLAGS_RELEASE=-Os -DNDEBUG")
cmake -S "$source" -B "$build" -G Ninja "${flags[@]}" >"$build.log" 2>&1 || { tail -n 20 "$build.log"; exit 1; }
ninja -C "$build" >>"$build.log" 2>&1 || { tail -n 40 "$build.log"; exit 1; }

library=$build/lib/libzcrpc.so
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so|libm\.so|ld-linux)' || true)
[ -z "$needed" ] || { echo "needs more than libc and libm: $needed"; exit 1; }

# What it takes from libc, by name: nothing of files, locales, threads, processes, sockets or C++.
undefined=$(nm -D --undefined-only "$library" | awk '{print $NF}' | sed 's/@.*//' | sort -u)
bad=$(grep -xE '(f|fd|re)?open(at|dir)?(64)?|f(read|write|close|seek|puts|printf)|v?f?printf|puts|putchar|stdout|stderr|read|write|close|.*locale.*|pthread_(create|join|mutex_.*|cond_.*|key_.*)|fork|exec.*|system|popen|socket|connect|bind|accept.*|send.*|recv.*|poll|epoll_.*|getenv|abort|exit|_ZN?.*|__cxa_(throw|allocate_exception|guard_.*)' <<<"$undefined" || true)
[ -z "$bad" ] || { echo "takes from outside what the codec must not: $(tr '\n' ' ' <<<"$bad")"; exit 1; }
array=$(readelf -SW "$library" | sed -n 's/.* INIT_ARRAY *[0-9a-f]* [0-9a-f]* \([0-9a-f]*\) .*/\1/p')
# Two entries come with the compiler: its own, and libgcc's look at the CPU.
[ $((16#${array:-0})) -le 16 ] || { echo "more than the compiler's own entries in .init_array"; exit 1; }

# A program of C uses it.
gcc -std=c99 -Wall -Wextra -Werror -I"$source/include" -o "$build/uses_zcrpc" "$source/tests/install/make/uses_zcrpc.c" -L"$build/lib" -lzcrpc
LD_LIBRARY_PATH=$build/lib "$build/uses_zcrpc" | grep -E '^zcrpc 0*[0-9a-f]+, features 0$'

ctest --test-dir "$build" --output-on-failure >"$build-ctest.log" 2>&1 || { tail -n 60 "$build-ctest.log"; exit 1; }
cp "$library" "$build/stripped.so"
strip "$build/stripped.so"
size=$(stat -c %s "$build/stripped.so")
echo "codec alone: $size bytes stripped; from outside: $(tr '\n' ' ' <<<"$undefined")"
grep -h "bytes written" "$build/Testing/Temporary/LastTest.log" | tail -n 1 >"$build/bytes"
cat "$build/bytes"
[ "$size" -lt 800000 ] || { echo "larger than 800,000 bytes"; exit 1; }
