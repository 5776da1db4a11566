#!/bin/sh
# Build Ray's wheel from its source: build_ray.sh SOURCE PREFIX CACHE OUT
# bazelisk, from its lock beside this program, comes as ray's own setup expects it: `bazel` on PATH.
set -eu
cp -r "$(dirname "$0")/bazelisk" /opt/bazelisk
npm ci --silent --no-audit --no-fund --prefix /opt/bazelisk
export PATH="/opt/bazelisk/node_modules/.bin:$PATH"
cd "$1/python"
export BAZEL_CACHE_DIR="$3" BAZEL_ARGS="--disk_cache=$3"
"$2/bin/python" -m pip wheel --no-deps --wheel-dir "$4" .
