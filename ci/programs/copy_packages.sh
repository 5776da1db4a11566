#!/bin/sh
# Copy Python's packages out of the environment: copy-packages FOLDER [PATH...]
# CUDA's libraries lie beside the folder of packages, which holds links to them: `COPY --from=IMAGE …/site-packages` takes
# links that lead nowhere. FOLDER, new or empty, gets files in their place; with PATHs, only those packages or files.
set -eu
python=${COPY_PACKAGES_PYTHON:-/opt/env/bin/python}
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
folder=$1; shift
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ -e "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
    echo "copy-packages: $folder is not empty" >&2
    exit 1
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd -P)
cd "$packages"
[ $# -ge 1 ] || set -- .
for path; do
    [ -e "$path" ] || { echo "copy-packages: no $path in $packages" >&2; exit 1; }
    if [ "$path" = . ]; then
        cp -rL --preserve=mode,timestamps . "$folder"
    else
        cp -rL --parents --preserve=mode,timestamps "./$path" "$folder"
    fi
done
