#!/bin/sh
# Before the package is unpacked. dpkg says "install" or "upgrade", rpm 1 or 2.
set -eu

LINK=/usr/local/bin/pipeops-agent

case ${1:-} in
  install | upgrade | 1 | 2) ;;
  *) exit 0 ;;
esac
# It would take the units of an agent that install.sh has placed, and be taken for it.
case $(readlink "$LINK" 2>/dev/null || true) in
  /opt/pipeops-agent/*)
    echo "pipeops-agent: error: this machine's agent came by install.sh [INSTALLED_OTHERWISE]" >&2
    echo "pipeops-agent: hint: stay with it; or end it first, keeping k3s: sudo $LINK uninstall --keep-k3s --keep-data" >&2
    exit 1 ;;
esac
