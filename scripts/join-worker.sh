#!/bin/sh
# Makes this machine a node of an existing cluster: "pipeops-agent join" with the same flags.
set -eu

# Not by PATH: sudo takes /usr/local/bin out of it on some systems.
PROGRAM=/usr/local/bin/pipeops-agent

if [ ! -x "$PROGRAM" ]; then
  echo "pipeops-agent: error: Cannot join: $PROGRAM is not on this machine [NOT_INSTALLED]" >&2
  echo "pipeops-agent: hint: Copy it from a server of the cluster, then run this again" >&2
  exit 4
fi
exec "$PROGRAM" join "$@"
