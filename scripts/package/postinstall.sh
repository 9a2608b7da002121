#!/bin/sh
# When the package is in its place. dpkg says "configure" and the version before, rpm 1 (new) or 2.
set -eu

case ${1:-} in
  configure | 1 | 2) ;;
  *) exit 0 ;;
esac
# Not in the making of an image.
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if systemctl is-active --quiet pipeops-agent.service; then
  # A package manager that stops in the middle would do more harm: the agent says so itself, here and in
  # "pipeops-agent status".
  /usr/bin/pipeops-agent upgrade after-package ||
    echo 'pipeops-agent: this version has not taken over; see: pipeops-agent status, journalctl -u pipeops-agent' >&2
elif [ "$1-${2:-}" = configure- ] || [ "$1" = 1 ]; then
  echo 'pipeops-agent: to set this machine up: sudo pipeops-agent install, or: sudo pipeops-agent join'
fi
