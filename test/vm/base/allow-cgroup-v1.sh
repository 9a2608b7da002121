#!/bin/sh
# Since Kubernetes 1.35 the kubelet refuses a machine with cgroup v1, which hosts of the tests may
# have: this gives it leave, in the directory of kubelet settings that k3s keeps for its owner. Runs
# before each start of k3s, as its uninstaller deletes them.
set -eu
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || exit 0
settings=/var/lib/rancher/k3s/agent/etc/kubelet.conf.d
mkdir -p "$settings"
cat >"$settings/10-cgroup-v1.conf" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
END
