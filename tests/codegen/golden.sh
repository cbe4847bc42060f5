#!/bin/sh
# golden.sh SOURCE PLUGIN PROTOC OUT [--write]: the plugin writes exactly tests/codegen/golden, and twice the same.
set -eu
source=$1 plugin=$2 protoc=$3 out=$4
here=$source/tests/codegen
cd "$here/protos"
files=$(find . -name '*.proto' ! -path './editions/*' | sed 's|^\./||' | sort)
for round in 1 2; do
  rm -rf "$out/$round"
  mkdir -p "$out/$round"
  # shellcheck disable=SC2086
  "$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out=lang=c:"$out/$round" -I. $files
done
diff -r "$out/1" "$out/2"
if [ "${5:-}" = --write ]; then
  rm -rf "$here/golden"
  cp -r "$out/1" "$here/golden"
fi
diff -ru "$here/golden" "$out/1"
echo "$(find "$out/1" -type f | wc -l) files as expected"
