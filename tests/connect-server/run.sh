#!/usr/bin/env bash
# tests/connect-server/run.sh SERVER [CONFIG [CASES LEAST]]: the Connect conformance runner, server mode, against SERVER,
# with no list of known failures; CASES: a pattern of names. Prints one line, `connect-server: N passed, N failed`, and
# fails unless all passed and there were at least as many as LEAST, or as the configuration says in its first line. The
# runner's own output stays in build/log.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 SERVER [CONFIG [CASES LEAST]]" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
config=${2:-$root/tests/connect-server/server.yaml}
runner=$root/build/deps/connectconformance/connectconformance
log=$root/build/log/connect-$(basename "$config" .yaml).txt
[ -x "$runner" ] || { echo "connect-server: no runner; scripts/deps connect fetches it"; exit 1; }
[ -x "$1" ] || { echo "connect-server: no $1; it is built where scripts/deps connect has put the runner's protos"; exit 1; }
mkdir -p "$(dirname "$log")"
least=${4:-$(sed -nE '1s/.*: ([0-9]+) cases.*/\1/p' "$config")}
status=0
timeout "${CONNECT_SERVER_TIME:-800}" "$runner" --conf "$config" ${3:+--run "$3"} --mode server -- "$1" >"$log" 2>&1 </dev/null || status=$?
read -r passed failed < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*$/\1 \2/p' "$log" | tail -n 1) || true
echo "connect-server: ${passed:-0} passed, ${failed:-0} failed"
if [ $status != 0 ] || [ "${failed:-1}" != 0 ] || [ "${passed:-0}" -lt "${least:-1}" ]; then
  grep -A3 '^FAILED' "$log" | head -n 60 >&2 || true
  tail -n 5 "$log" >&2
  exit 1
fi
