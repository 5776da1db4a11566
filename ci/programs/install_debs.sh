#!/bin/sh
# Install Debian or Ubuntu packages, named as arguments; apt's folders may be cache volumes.
# apt's chatter is shown only when it fails. Slim images lack the folder of manual pages, without which Java's packages
# do not install. Logs hold dates, which would make each layer new.
set -eu
rm -f /etc/apt/apt.conf.d/docker-clean
mkdir -p /usr/share/man/man1
apt-get update -qq -o Acquire::Retries=3
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" >/run/apt.log 2>&1 || { tail -n 40 /run/apt.log >&2; exit 1; }
rm -rf /run/apt.log /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/ldconfig/aux-cache \
    /var/cache/debconf/*-old /var/lib/dpkg/*-old
