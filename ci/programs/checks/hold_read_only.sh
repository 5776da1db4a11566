#!/bin/sh
# Run a command as a user while a folder cannot be written: hold_read_only.sh UID:GID FOLDER COMMAND...
# FOLDER may be /, as with `docker run --read-only --tmpfs /tmp`. All of it happens in a mount namespace of its own, for
# which the program needs the rights to mount.
set -eu
if [ "$1" != inside ]; then
    exec unshare --mount --propagation private sh "$0" inside "$@"
fi
user=$2 folder=$3; shift 3
if [ "$folder" = / ]; then
    mount -t tmpfs -o mode=1777 tmpfs /tmp
else
    mount --bind "$folder" "$folder"
fi
mount -o remount,bind,ro "$folder"
exec setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups -- "$@"
