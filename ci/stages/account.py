"""The user that images run as, in the slow layers at the bottom."""

import dagger

from ci.specs import Account

# Ubuntu's images come with a user of their own at 1000, who makes room. The user's group has its name and number.
_SCRIPT = """
set -eu
name=$1 uid=$2 workdir=$3
! before=$(getent passwd "$uid") || userdel --remove "${before%%:*}" 2>/dev/null
groupadd --gid "$uid" "$name"
useradd --uid "$uid" --gid "$uid" --create-home --shell /bin/bash "$name"
install -d -o "$uid" -g "$uid" "$workdir"
for file in passwd group shadow gshadow subuid subgid; do rm -f "/etc/$file-"; done
rm -f /var/log/lastlog /var/log/faillog
"""


def add(container: dagger.Container, account: Account) -> dagger.Container:
    """Add the user and its working folder."""
    return container.with_exec(["sh", "-c", _SCRIPT, "user", account.user, str(account.uid), account.workdir])
