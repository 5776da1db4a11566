#!/bin/sh
# Add the user that images run as, and its working folder: add_user.sh NAME UID FOLDER
# Ubuntu's images come with a user of their own at 1000, who makes room. The user's group has its name and number.
# Home and working folder belong to group 0, which may write them: OpenShift and others start a container as any user
# of that group.
set -eu
name=$1 uid=$2 workdir=$3 home=/home/$1
! before=$(getent passwd "$uid") || userdel --remove "${before%%:*}" 2>/dev/null
groupadd --gid "$uid" "$name"
useradd --uid "$uid" --gid "$uid" --home-dir "$home" --create-home --shell /bin/bash "$name"
install -d "$workdir"
chown -R "$uid:0" "$home" "$workdir"
chmod -R g=u "$home"
chmod 775 "$home" "$workdir"
for file in passwd group shadow gshadow subuid subgid; do rm -f "/etc/$file-"; done
rm -f /var/log/lastlog /var/log/faillog
