# Sourced by the other scripts: where the tree is, and the few things all of them do.
set -euo pipefail
export LC_ALL=C
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
DEPS=$ROOT/build/deps
JOBS=${JOBS:-$(nproc)}
# A look-up in the environment must not reach our loopback traffic.
export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}" NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# quietly LOG COMMAND...: the command's output goes to LOG, and is shown (its end) only when it fails.
quietly() {
  local log=$1; shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 60 "$log" >&2
    printf 'error: failed: %s (whole output: %s)\n' "$*" "$log" >&2
    return 1
  fi
}

# configure PRESET: makes the build tree, or brings it up to date with the lists and presets.
configure() {
  if [ -f "build/$1/build.ninja" ]; then
    quietly "build/log/configure-$1.log" ninja -C "build/$1" build.ninja
  else
    quietly "build/log/configure-$1.log" cmake --preset "$1"
  fi
}
