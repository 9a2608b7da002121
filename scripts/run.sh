#!/bin/sh
# Runs one of the scripts here with the pinned Bun: scripts/run.sh build.ts --release
set -eu

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$ROOT"
BUN=$(scripts/setup.sh | tail -n 1)
PATH="$(dirname "$BUN"):$PATH"
export PATH
SCRIPT=${1:?"Usage: scripts/run.sh SCRIPT [ARGUMENT...]"}
shift
exec "$BUN" "scripts/$SCRIPT" "$@" </dev/null
