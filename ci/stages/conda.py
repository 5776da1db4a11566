"""The conda environment, made at the prefix where every image keeps it."""

import dagger

from ci.specs import CondaSpec
from ci.stages import channel
from ci.stages.base import TOOLS
from ci.stages.caches import Cache, with_cache, without_cache
from ci.stages.site import PROGRAMS, Site, with_program, without_program


def build(
    site: Site, spec: CondaSpec, base: dagger.Container, local: dagger.Directory | None
) -> dagger.Container:
    """Create the environment in the devel base."""
    container = with_channel(with_cache(site.mirrored(base), Cache.CONDA), local)
    container = with_program(container, "make_env.py")
    command = [f"{TOOLS}/bin/python", f"{PROGRAMS}/make_env.py", "create", "--prefix", spec.prefix]
    command += [
        "--pkgs-cache",
        Cache.CONDA.path,
        "--glibc",
        spec.glibc,
        *(["--cuda", spec.cuda] if spec.cuda else []),
    ]
    command += ["--channel", *channels(spec), "--spec", *spec.packages]
    container = without_program(container.with_exec(command), "make_env.py")
    return site.offline(without_cache(without_channel(container, local), Cache.CONDA))


def channels(spec: CondaSpec) -> list[str]:
    """Return the channels' addresses: those of the sources, or the folder of the channel made here."""
    return list(spec.channels) or [f"file://{channel.PATH}"]


def with_channel(container: dagger.Container, local: dagger.Directory | None) -> dagger.Container:
    """Mount the channel made here, if there is one."""
    return container.with_mounted_directory(channel.PATH, local) if local else container


def without_channel(container: dagger.Container, local: dagger.Directory | None) -> dagger.Container:
    """Unmount it again."""
    return container.without_mount(channel.PATH) if local else container
