"""The configuration of a finished image: user, working folder, environment, entry point, labels."""

import dagger

from ci.specs import ImageSpec

# The user's own group has its name. Working folder and home belong to it; everything else stays root's.
_USER = """
set -eu
name=$1 uid=$2 workdir=$3
getent passwd "$uid" >/dev/null && userdel --remove "$(getent passwd "$uid" | cut -d: -f1)" 2>/dev/null || true
groupadd --gid "$uid" "$name"
useradd --uid "$uid" --gid "$uid" --create-home --shell /bin/bash "$name"
install -d -o "$uid" -g "$uid" "$workdir"
rm -f /var/log/lastlog /var/log/faillog /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
"""


def with_user(container: dagger.Container, spec: ImageSpec) -> dagger.Container:
    """Add the user; done before the environment's layers, which change more often."""
    return container.with_exec(["sh", "-c", _USER, "user", spec.user, str(spec.uid), spec.workdir])


def configure(container: dagger.Container, spec: ImageSpec) -> dagger.Container:
    """Set what a container runtime reads; adds no layer."""
    for name, value in spec.env:
        container = container.with_env_variable(name, value)
    for name, value in spec.labels:
        container = container.with_label(name, value)
    container = container.with_workdir(spec.workdir).with_entrypoint(list(spec.entrypoint))
    container = container.with_default_args(list(spec.args))
    if spec.port:
        container = container.with_exposed_port(spec.port)
    # A devel image is for installing and building, so its user is root, as in NVIDIA's own.
    return container.with_user(spec.user) if spec.kind == "runtime" else container
