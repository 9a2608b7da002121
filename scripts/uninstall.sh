#!/bin/sh
# Removes what was installed, and only that: "pipeops-agent uninstall" with the same flags.
set -eu

# Not by PATH: sudo takes /usr/local/bin out of it on some systems.
PROGRAM=/usr/local/bin/pipeops-agent

if [ ! -x "$PROGRAM" ]; then
  echo "pipeops-agent: error: Cannot uninstall: $PROGRAM is not on this machine [NOT_INSTALLED]" >&2
  echo "pipeops-agent: hint: If an installation broke off, finish it with install.sh first" >&2
  exit 4
fi
exec "$PROGRAM" uninstall "$@"
