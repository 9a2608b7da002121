#!/bin/sh
# The main job, shown: scripts/demo.sh [--keep] [--json]
#                      scripts/demo.sh shell NAME [COMMAND…]   while another one is kept
#
# Builds the agent, boots two bare machines on this host, starts a local control plane,
# installs the first machine by the one-line installer, joins the second, deploys an
# application through the control plane and fetches it. Then cleans up; with --keep it
# leaves all of it running and says how to stop it. --json prints one document.
# k3s is its newest stable release where that can be reached within seconds (PIPEOPS_K3S_MIRROR names a
# mirror, K3S_RELEASE=v1.36.x+k3s1 a release), else the one for tests (test/k3s): it says which.
# Needs root on Debian 12+ or Ubuntu 22.04+, and Go 1.24+.
set -eu

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$ROOT"
if [ "${1:-}" = shell ]; then
  BUN=$(scripts/setup.sh 2>/dev/null | tail -n 1) # a demo runs, so all of it is there
else
  BUN=$(scripts/setup.sh | tail -n 1)
fi
PATH="$(dirname "$BUN"):$PATH"
export PATH
exec "$BUN" scripts/demo.ts "$@"
