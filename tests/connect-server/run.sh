#!/usr/bin/env bash
# tests/connect-server/run.sh SERVER [CONFIG]: the Connect conformance runner, server mode, against SERVER, with no list of
# known failures. Prints one line, `connect-server: N passed, N failed`, and fails unless all passed and there were at
# least as many as the configuration says in its first line. The runner's own output stays in build/log.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 SERVER [CONFIG]" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
config=${2:-$root/tests/connect-server/server.yaml}
runner=$root/build/deps/connectconformance/connectconformance
log=$root/build/log/connect-server.txt
[ -x "$runner" ] || { echo "connect-server: no runner; scripts/deps connect fetches it"; exit 1; }
[ -x "$1" ] || { echo "connect-server: no $1; it is built where scripts/deps connect has put the runner's protos"; exit 1; }
mkdir -p "$(dirname "$log")"
status=0
timeout 800 "$runner" --conf "$config" --mode server -- "$1" >"$log" 2>&1 </dev/null || status=$?
least=$(sed -nE '1s/.*: ([0-9]+) cases.*/\1/p' "$config")
read -r passed failed < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*$/\1 \2/p' "$log" | tail -n 1) || true
echo "connect-server: ${passed:-0} passed, ${failed:-0} failed"
if [ $status != 0 ] || [ "${failed:-1}" != 0 ] || [ "${passed:-0}" -lt "${least:-1}" ]; then
  grep -A3 '^FAILED' "$log" | head -n 60 >&2 || true
  tail -n 5 "$log" >&2
  exit 1
fi
