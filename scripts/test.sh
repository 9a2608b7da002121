#!/bin/sh
# Runs the tests: scripts/test.sh [unit|cli|vm|all|long], default all. Sets up what it needs.
#   unit  types, lint, layers, unit and component tests with coverage
#   cli   the compiled executable, as a person calls it
#   vm    real machines with systemd and Kubernetes (root on Debian 12+ or Ubuntu 22.04+)
#   all   all of these; long: what is too long for every run
# K3S_RELEASE=v1.36.3+k3s1 (or v1.36: the newest) lets "vm" use that release of k3s instead of the one made
# for tests.
set -eu

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$ROOT"
PART=${1:-all}
case "$PART" in
  unit | cli | vm | all | long) ;;
  *) echo "Usage: scripts/test.sh [unit|cli|vm|all|long]" >&2; exit 2 ;;
esac

BUN=$(scripts/setup.sh | tail -n 1)
PATH="$(dirname "$BUN"):$PATH"
export PATH
exec "$BUN" scripts/test.ts "$PART" </dev/null
