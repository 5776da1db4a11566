#!/bin/sh
# Install Python packages into an environment by uv: install_packages.sh PREFIX REQUIREMENTS FROZEN LIMIT OPTION...
# The layers of runtime images are deltas: what a lower layer holds must stay as it is. With FROZEN `yes` the versions
# that are installed become constraints. uv's cache is pruned when it holds more than LIMIT kilobytes.
set -eu
prefix=$1 requirements=$2 frozen=$3 limit=$4; shift 4
uv=/opt/tools/bin/uv constraints=/run/frozen.txt
: >"$constraints"
[ "$frozen" = no ] || "$uv" pip freeze --quiet --python "$prefix" | grep -E '^[A-Za-z0-9._-]+==' >"$constraints"
"$uv" pip install --quiet --python "$prefix" --link-mode copy --constraint "$constraints" -r "$requirements" "$@"
rm -f "$constraints"
[ "$(du -sk "$UV_CACHE_DIR" | cut -f1)" -le "$limit" ] || "$uv" cache prune --quiet --ci
