#!/bin/sh
# Runs inside a test machine before everything else, at each boot: gives it what a real VM has and
# a container lacks.
set -eu

# /proc/sys is the host's and read-only here. kubelet insists on these values, so a file that holds
# the wanted one is mounted over each; the host's own stay as they are.
pretend() {
  file=/run/test-machine/$(echo "$1" | tr / _)
  mkdir -p /run/test-machine
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

echo 1 >/proc/sys/net/ipv4/ip_forward

# cgroup v1 hierarchies are mounted read-only, except systemd's own.
for hierarchy in /sys/fs/cgroup/*/; do
  if mountpoint -q "$hierarchy"; then
    mount -o remount,rw,bind "$hierarchy"
  fi
done
