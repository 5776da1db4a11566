#!/bin/sh
# Install the wheels of a folder into an environment, and nothing else: install_wheels.sh PREFIX FOLDER
# Made for the torch that is there: nothing may be looked up or replaced. Hashes are checked where the index has them.
set -eu
cd "$2"
[ ! -f SHA256SUMS ] || sha256sum --quiet --check SHA256SUMS
/opt/tools/bin/uv pip install --quiet --no-cache --link-mode copy --python "$1" --no-index --no-deps ./*.whl
# uv notes when it read a wheel from a folder; a layer made again should be the same.
for notes in "$1"/lib/python3.*/site-packages/*.dist-info/uv_cache.json; do
    [ -f "$notes" ] || continue
    rm "$notes"
    sed -i '/\.dist-info\/uv_cache\.json,/d' "${notes%/*}/RECORD"
done
