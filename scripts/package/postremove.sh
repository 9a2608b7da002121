#!/bin/sh
# When the package is removed. dpkg says "remove", and "purge" when its settings go as well; rpm 0.
set -eu

INVENTORY=/var/lib/pipeops-agent-host/inventory.json
SNAPSHOTS=/var/lib/pipeops-agent-snapshots

case ${1:-} in
  remove | purge | 0) ;;
  *) exit 0 ;;
esac
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
[ "$1" = purge ] || exit 0

# Without "pipeops-agent uninstall" before, what it would have taken away is left.
if [ -e "$INVENTORY" ]; then
  [ ! -e /usr/local/bin/k3s ] ||
    echo 'pipeops-agent: k3s stays. To remove it with all that runs in it: sudo k3s-uninstall.sh, on a worker sudo k3s-agent-uninstall.sh' >&2
  if grep -q '"kind": *"user"' "$INVENTORY"; then
    userdel pipeops-agent 2>/dev/null || true
    groupdel pipeops-agent 2>/dev/null || true
  fi
fi
[ ! -e "$SNAPSHOTS" ] ||
  echo "pipeops-agent: snapshots of the cluster and their key stay. To remove them: sudo rm -r $SNAPSHOTS" >&2
rm -rf /etc/pipeops-agent /var/lib/pipeops-agent /var/lib/pipeops-agent-host /run/pipeops-agent
rm -f /run/pipeops-agent*.lock
rmdir /etc/systemd/system/pipeops-agent.service.wants 2>/dev/null || true
