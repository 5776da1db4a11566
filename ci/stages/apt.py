"""Debian and Ubuntu packages, with apt's folders in cache volumes."""

from collections.abc import Sequence

import dagger
from dagger import dag

from ci.stages.caches import Cache, with_cache, without_cache
from ci.stages.site import Site

# Package names come as arguments, never inside the script. apt's chatter is shown only when it fails. Slim images
# lack the folder of manual pages, without which Java's packages do not install. Logs hold dates, which would make
# each layer new.
_INSTALL = """
set -eu
rm -f /etc/apt/apt.conf.d/docker-clean
mkdir -p /usr/share/man/man1
apt-get update -qq -o Acquire::Retries=3
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \\
    -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" >/run/apt.log 2>&1 || { tail -n 40 /run/apt.log >&2; exit 1; }
rm -rf /run/apt.log /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/ldconfig/aux-cache \\
    /var/cache/debconf/*-old /var/lib/dpkg/*-old
"""


def on(image: str, site: Site, packages: Sequence[str]) -> dagger.Container:
    """Take a base image and install packages in it."""
    return install(dag.container().from_(image), site, packages, variant(image))


def install(
    container: dagger.Container, site: Site, packages: Sequence[str], variant: str
) -> dagger.Container:
    """Install packages; `variant` names the distribution, whose package lists differ."""
    container = with_cache(with_cache(container, Cache.APT_ARCHIVES, variant), Cache.APT_LISTS, variant)
    container = site.connected(container).with_exec(["sh", "-c", _INSTALL, "apt", *packages])
    return site.offline(without_cache(without_cache(container, Cache.APT_LISTS), Cache.APT_ARCHIVES))


def refreshed(container: dagger.Container) -> dagger.Container:
    """Give a throw-away container its package lists, for steps that download packages themselves."""
    return container.with_exec(["apt-get", "update", "-qq", "-o", "Acquire::Retries=3"])


def variant(image: str) -> str:
    """Name the cache of a base image: `debian-bookworm-slim`."""
    name = image.rsplit("/", 1)[-1]
    return "".join(char if char.isalnum() or char in ".-" else "-" for char in name)
