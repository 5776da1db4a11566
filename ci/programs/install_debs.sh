#!/bin/sh
# Install Debian or Ubuntu packages, named as arguments; apt's folders may be cache volumes.
# apt's chatter is shown only when it fails. Slim images lack the folder of manual pages, without which Java's packages
# do not install. Logs hold dates, which would make each layer new.
set -eu
# Debian's and Ubuntu's images tell apt to keep nothing. That would empty the cache volumes, so it is put back at the
# end; an image without it gets the same, for what people install on top.
keeps_nothing=/etc/apt/apt.conf.d/docker-clean
[ -e "$keeps_nothing" ] || printf '%s\n' 'APT::Keep-Downloaded-Packages "false";' \
    'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' >"$keeps_nothing"
mv "$keeps_nothing" /run/docker-clean
trap 'mv /run/docker-clean "$keeps_nothing"' EXIT
mkdir -p /usr/share/man/man1
apt-get update -qq -o Acquire::Retries=3
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    -o APT::Keep-Downloaded-Packages=true -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" >/run/apt.log 2>&1 ||
    { tail -n 40 /run/apt.log >&2; exit 1; }
rm -rf /run/apt.log /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/ldconfig/aux-cache \
    /var/cache/debconf/*-old /var/lib/dpkg/*-old
