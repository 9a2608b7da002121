#!/bin/sh
# Before the package is removed or replaced. dpkg says "remove" when it is removed, rpm 0.
set -eu

case ${1:-} in
  remove | 0) ;;
  *) exit 0 ;;
esac
if [ -e /var/lib/pipeops-agent-host/inventory.json ]; then
  echo 'pipeops-agent: k3s and all that was set up here stay, because "sudo pipeops-agent uninstall" was not run' >&2
  echo 'pipeops-agent: to remove them, install this package again and run that first' >&2
fi
[ -d /run/systemd/system ] || exit 0
set -- pipeops-agent.service
for file in /usr/lib/systemd/system/pipeops-agent-*; do
  case $file in
    *.path | *.socket | *.timer) set -- "$@" "${file##*/}" ;;
  esac
done
systemctl disable --quiet --now "$@" || true
# What those have started.
systemctl stop 'pipeops-agent-*' || true
