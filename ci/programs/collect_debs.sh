#!/bin/sh
# Download Debian or Ubuntu packages, with all that they need and this image has not: collect_debs.sh FOLDER PACKAGE...
set -eu
folder=$1; shift
mkdir -p "$folder/partial"
rm -f /etc/apt/apt.conf.d/docker-clean
apt-get update -qq -o Acquire::Retries=3
apt-get install -qq -y --no-install-recommends --download-only \
    -o Acquire::Retries=3 -o Dir::Cache::archives="$folder" "$@" >/run/apt.log 2>&1 || { tail -n 40 /run/apt.log >&2; exit 1; }
rm -rf "$folder/partial" "$folder/lock"
