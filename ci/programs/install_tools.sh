#!/bin/sh
# Install py-rattler, conda-pack and uv from their lock, apart from any environment: install_tools.sh PREFIX LOCK
# Of an index that does not answer pip says only that it has no such package; its log says why.
set -eu
prefix=$1 lock=$2
python3 -m venv "$prefix"
"$prefix/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-compile --log /run/pip.log \
    --require-hashes -r "$lock" || { grep -o 'Could not fetch URL .*' /run/pip.log >&2; exit 1; }
rm /run/pip.log
