#!/bin/sh
# golden.sh SOURCE PLUGIN PROTOC OUT [--write]: the plugin writes exactly tests/codegen/golden, and twice the same. The
# keyword files, which are long and only have to compile (strict.sh), are left out. Newer editions go through npm's protoc.
set -eu
source=$1 plugin=$2 protoc=$3 out=$4
here=$source/tests/codegen
npm=$source/build/deps/npm/node_modules/.bin
if [ ! -x "$npm/protoc" ]; then
  echo "npm's protoc is not there: scripts/deps check installs it"
  exit 1
fi
cd "$here/protos"
files=$(find . -name '*.proto' ! -path './editions/*' ! -name 'keyword*' | sed 's|^\./||' | sort)
for round in 1 2; do
  rm -rf "$out/$round"
  mkdir -p "$out/$round"
  # shellcheck disable=SC2086
  "$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out=lang=c:"$out/$round" -I. $files
  "$npm/protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out=lang=c:"$out/$round" -I. editions/*.proto
done
diff -r "$out/1" "$out/2"
if [ "${5:-}" = --write ]; then
  rm -rf "$here/golden"
  cp -r "$out/1" "$here/golden"
fi
diff -ru "$here/golden" "$out/1"
echo "$(find "$out/1" -type f | wc -l) files as expected"
