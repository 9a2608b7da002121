#!/bin/sh
# Shows addresses, versions, nodes and how to join: "pipeops-agent cluster-info" with the same
# flags.
set -eu

# Not by PATH: sudo takes /usr/local/bin out of it on some systems.
PROGRAM=/usr/local/bin/pipeops-agent

if [ ! -x "$PROGRAM" ]; then
  echo "pipeops-agent: error: Cannot show the cluster: $PROGRAM is missing [NOT_INSTALLED]" >&2
  echo "pipeops-agent: hint: Install it: curl -fsSL https://get.pipeops.dev/agent/install.sh | sudo sh" >&2
  exit 4
fi
exec "$PROGRAM" cluster-info "$@"
