#!/usr/bin/env bash
# Run a command without a network but loopback: airgap.sh COMMAND... (inside `unshare --net --mount`)
# /sys shows the network in which it was mounted: mount it again, and keep its cgroups.
set -euo pipefail
mount --make-rprivate /
groups=$(mktemp --directory)
mount --rbind /sys/fs/cgroup "$groups"
mount -t sysfs sysfs /sys
mount --rbind "$groups" /sys/fs/cgroup
ip link set lo up
exec "$@"
