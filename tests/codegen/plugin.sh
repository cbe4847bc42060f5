#!/bin/sh
# plugin.sh SOURCE PLUGIN PROTOC OUT: options that are unknown are refused, and newer compilers run the plugin.
set -eu
source=$1 plugin=$2 protoc=$3 out=$4
rm -rf "$out"
mkdir -p "$out"
cd "$source/tests/codegen/protos"

refused() { # OPTIONS TEXT
  if "$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out="$1:$out" -I. names/comments.proto 2>"$out/err"; then
    echo "$1 was not refused"
    exit 1
  fi
  grep -q "$2" "$out/err" || { cat "$out/err"; exit 1; }
}
refused "lang=c,colour=blue" "unknown option colour=blue"
refused "lang=cobol" "lang=cobol"
refused "services=some" "services is both, client, server or none"

# Two names that C cannot tell apart.
mkdir -p "$out/clash/a"
printf 'syntax = "proto3"; package a; message b_C {}' >"$out/clash/a/one.proto"
printf 'syntax = "proto3"; package a.b; import "a/one.proto"; message C { a.b_C c = 1; }' >"$out/clash/a/two.proto"
if "$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out="lang=c:$out" -I"$out/clash" a/two.proto 2>"$out/err"; then exit 1; fi
grep -q 'a/one.proto and a/two.proto would both declare a_b_C' "$out/err" || { cat "$out/err"; exit 1; }

# Without services no symbol of a server or client is needed.
mkdir "$out/none"
"$protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out="services=none:$out/none" -I. kinds/v1/kinds.proto
if grep -q 'zcrpc_server\|zcrpc_channel' "$out"/none/kinds/v1/kinds.zcrpc.*; then exit 1; fi

# The other name of the plugin, by which buf and others find it.
ln -s "$plugin" "$out/protoc-gen-zcrpc-c"
mkdir "$out/alias"
"$protoc" --plugin=protoc-gen-zcrpc-c="$out/protoc-gen-zcrpc-c" --zcrpc-c_out="$out/alias" -I. names/comments.proto
cmp "$out/alias/names/comments.zcrpc.h" "$source/tests/codegen/golden/names/comments.zcrpc.h"

# A request that is none.
if printf 'nonsense\377' | "$plugin" >/dev/null 2>&1; then exit 1; fi

npm=$source/build/deps/npm/node_modules/.bin
if [ ! -x "$npm/protoc" ] || [ ! -x "$npm/buf" ]; then
  echo "npm's protoc and buf are not there: scripts/deps check installs them"
  exit 1
fi
mkdir "$out/npm"
"$npm/protoc" --plugin=protoc-gen-zcrpc="$plugin" --zcrpc_out="lang=c:$out/npm" -I. \
  editions/editions.proto editions/newest.proto names/hostile.proto
for file in editions newest; do
  gcc -std=c99 -Wall -Wextra -Werror -fsyntax-only -I"$source/include" -I"$out/npm" "$out/npm/editions/$file.zcrpc.c"
done
grep -q 'editions_Message_has_explicit' "$out/npm/editions/editions.zcrpc.h"
if grep -q 'editions_Message_has_implicit' "$out/npm/editions/editions.zcrpc.h"; then exit 1; fi
cmp "$out/npm/names/hostile.zcrpc.h" "$source/tests/codegen/golden/names/hostile.zcrpc.h"
echo "npm's protoc: as expected"

mkdir "$out/buf" "$out/cache"
cp -r . "$out/buf/protos"
cd "$out/buf"
printf 'version: v2\nmodules:\n  - path: protos\n' >buf.yaml
printf 'version: v2\nplugins:\n  - local: %s\n    out: gen\n    opt: lang=c\n' "$plugin" >buf.gen.yaml
BUF_CACHE_DIR="$out/cache" "$npm/buf" generate --path protos/names/comments.proto --path protos/editions/editions.proto
cmp gen/names/comments.zcrpc.h "$source/tests/codegen/golden/names/comments.zcrpc.h"
test -s gen/editions/editions.zcrpc.c
echo "buf generate: as expected"
