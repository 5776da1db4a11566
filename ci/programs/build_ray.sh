#!/bin/sh
# Build Ray's wheel from its source: build_ray.sh SOURCE PREFIX CACHE OUT
# bazelisk comes as ray's own setup expects it: `bazel` on PATH.
set -eu
npm install --silent --global @bazel/bazelisk
cd "$1/python"
export BAZEL_CACHE_DIR="$3" BAZEL_ARGS="--disk_cache=$3"
"$2/bin/python" -m pip wheel --no-deps --wheel-dir "$4" .
