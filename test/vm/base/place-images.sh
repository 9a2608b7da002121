#!/bin/sh
# Puts the container images of the tests where k3s imports them (its "agent/images" directory, the
# documented way without a registry). Runs before each start of k3s, as its uninstaller deletes them.
set -eu
images=/opt/test-images
[ -d "$images" ] || exit 0
mkdir -p /var/lib/rancher/k3s/agent/images
cp -u "$images"/*.tar /var/lib/rancher/k3s/agent/images/
