"""A conda channel out of package registries, for machines that reach no other."""

import dagger
from dagger import dag

from ci.specs import ChannelSpec
from ci.stages import apt
from ci.stages.base import TOOLS, with_tools
from ci.stages.site import PROGRAMS, Site, with_program

PATH = "/channel"

_APT = ("ca-certificates", "dpkg-dev", "maven", "python3", "python3-venv")

# Debian's own list of CAs: the bundle in /etc/ssl may also hold a site's proxy, which no image should trust.
_CA = "cat /usr/share/ca-certificates/mozilla/*.crt >/run/ca.pem"


def build(site: Site, spec: ChannelSpec) -> dagger.Directory:
    """Download what the recipe names, check it, and build the channel's folder."""
    container = apt.on(spec.image, site, _APT)
    container = with_program(with_tools(container, site, spec.tools), "make_channel.py")
    recipe = dag.directory().with_new_file("channel.json", spec.recipe).file("channel.json")
    container = site.online(container.with_mounted_file("/run/channel.json", recipe))
    program = [f"{TOOLS}/bin/python", f"{PROGRAMS}/make_channel.py"]
    parts = "/var/tmp/parts"  # noqa: S108 - in a container of its own
    return (
        apt.refreshed(container)
        .with_exec([*program, "fetch", parts, "--recipe", "/run/channel.json"])
        .with_exec(["sh", "-c", _CA])
        .with_exec(
            [*program, "build", PATH, "--recipe", "/run/channel.json"]
            + [f"--{kind}={parts}/{kind}" for kind in ("jars", "debs", "wheels")]
            + ["--cacert", "/run/ca.pem"]
        )
        .directory(PATH)
    )
