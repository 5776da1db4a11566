#!/bin/sh
# Add the user that images run as, and its working folder: add_user.sh NAME UID FOLDER
# Ubuntu's images come with a user of their own at 1000, who makes room. The user's group has its name and number.
set -eu
name=$1 uid=$2 workdir=$3
! before=$(getent passwd "$uid") || userdel --remove "${before%%:*}" 2>/dev/null
groupadd --gid "$uid" "$name"
useradd --uid "$uid" --gid "$uid" --create-home --shell /bin/bash "$name"
install -d -o "$uid" -g "$uid" "$workdir"
for file in passwd group shadow gshadow subuid subgid; do rm -f "/etc/$file-"; done
rm -f /var/log/lastlog /var/log/faillog
