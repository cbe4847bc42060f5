#!/usr/bin/env bash
# use.sh TEST SOURCE BUILD STAGE WORK LIBDIR: one of the tests listed in CMakeLists.txt.
set -euo pipefail
test=$1 source=$2 build=$3 stage=$4 work=$5/$1 libdir=$6
export PKG_CONFIG_PATH=$stage/$libdir/pkgconfig LD_LIBRARY_PATH=$stage/$libdir

case "$test" in
  install_stage)
    rm -rf "$stage"
    cmake --install "$build" --prefix "$stage" >/dev/null
    # What a package would hold; a file that is missing or too much is a mistake here, not at the packager's.
    cd "$stage"
    for file in include/zcrpc.h include/zcrpc/layout.h include/zcrpc/codegen.h include/zcrpc/decode.h include/zcrpc/decode_ops.h include/zcrpc/encode_ops.h "$libdir/libzcrpc.so" \
      "$libdir/libzcrpc.so.0" "$libdir/libzcrpc.a" "$libdir/pkgconfig/zcrpc.pc" "$libdir/cmake/zcrpc/zcrpc-config.cmake" \
      "$libdir/cmake/zcrpc/ZcrpcGenerate.cmake" bin/zcrpc bin/protoc-gen-zcrpc bin/protoc-gen-zcrpc-c; do
      [ -e "$file" ] || { echo "not installed: $file"; exit 1; }
    done
    wrong=$(find . -type f | grep -vE "^\./(include/zcrpc(/[a-z_]+)?\.h|$libdir/libzcrpc\.(a|so\.[0-9.]+)|$libdir/pkgconfig/zcrpc\.pc|$libdir/cmake/zcrpc/[A-Za-z-]+\.cmake|bin/(zcrpc|protoc-gen-zcrpc)|share/man/man1/zcrpc\.1|share/zcrpc/proto/[a-z0-9/_]+\.proto)\$" || true)
    [ -z "$wrong" ] || { echo "installed, but nobody asked for it:"; echo "$wrong"; exit 1; }
    # Installed programs find what they need without the build tree.
    env -u LD_LIBRARY_PATH bin/zcrpc --version
    env -u LD_LIBRARY_PATH bin/protoc-gen-zcrpc --version ;;
  install_make | install_make_static)
    rm -rf "$work" && mkdir -p "$work"
    cp "$source"/tests/install/make/* "$work"
    make -C "$work" "${test#install_}"
    "$work/uses_zcrpc" ;;
  install_cmake)
    rm -rf "$work" && mkdir -p "$work"
    cp "$source"/tests/install/cmake/* "$work"
    cmake -S "$work" -B "$work/build" -G Ninja "-DCMAKE_PREFIX_PATH=$stage" >/dev/null
    cmake --build "$work/build"
    "$work/build/uses_zcrpc" ;;
  install_readme)
    rm -rf "$work" && mkdir -p "$work"
    STAGE=$stage PATH=$stage/bin:$PATH python3 "$source/tests/install/readme.py" "$source/README.md" "$work" ;;
  install_examples)
    # Each example through pkg-config, with its own Makefile.
    rm -rf "$work" && mkdir -p "$work"
    cp -r "$source/examples" "$source/proto" "$work"
    for makefile in "$work"/examples/*/Makefile; do
      CFLAGS="-O2 -Wall -Wextra -Werror" PATH=$stage/bin:$PATH make -C "$(dirname "$makefile")"
    done
    long=$(find "$source/examples" -name '*.c' -exec awk 'END { if (NR > 120) print FILENAME ": " NR " lines" }' {} \;)
    [ -z "$long" ] || { echo "an example is at most 120 lines:"; echo "$long"; exit 1; } ;;
  *) echo "unknown test $test"; exit 2 ;;
esac
