#!/usr/bin/env bash
# Runs a command where there is no network but loopback: airgap.sh COMMAND... (inside `unshare --net --mount`)
# /sys tells of the network that was there when it was mounted, so it is mounted anew, with its cgroups.
set -euo pipefail
mount --make-rprivate /
groups=$(mktemp --directory)
mount --rbind /sys/fs/cgroup "$groups"
mount -t sysfs sysfs /sys
mount --rbind "$groups" /sys/fs/cgroup
ip link set lo up
exec "$@"
