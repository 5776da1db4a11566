"""The environment as a tree for image layers, exported by conda-pack or copied; and as an archive for anywhere else."""

import dagger

from ci.plan.caches import Cache
from ci.plan.commands import copy_env, fill_cache, pack_env
from ci.plan.specs import PREFIX, CondaSpec
from ci.stages.cache_volumes import with_cache
from ci.stages.conda import with_channel
from ci.stages.context import BuildContext, with_program

_TREE = "/opt/packed"
_ARCHIVE = "/opt/environment.tar.zst"


def tree(
    context: BuildContext, spec: CondaSpec, env: dagger.Container, local: dagger.Directory | None
) -> dagger.Directory:
    """Export the environment for its own prefix: a layer as it is, with no conda-unpack to run."""
    container = _packer(context, spec, env, local)
    return context.run(container, pack_env("--dest-prefix", PREFIX, "--to-dir", _TREE)).directory(_TREE)


def plain(context: BuildContext, env: dagger.Container) -> dagger.Directory:
    """Copy an environment that no conda made: it lies at its own prefix already."""
    return context.run(with_program(env, "copy_env.py"), copy_env(_TREE)).directory(_TREE)


def archive(
    context: BuildContext, spec: CondaSpec, env: dagger.Container, local: dagger.Directory | None
) -> dagger.File:
    """Export the environment as a tarball that is unpacked anywhere and ends with `conda-unpack`."""
    return context.run(_packer(context, spec, env, local), pack_env("--archive", _ARCHIVE)).file(_ARCHIVE)


def _packer(
    context: BuildContext, spec: CondaSpec, env: dagger.Container, local: dagger.Directory | None
) -> dagger.Container:
    # conda-pack takes files with a prefix in them from the package cache. The cache volume may have been emptied
    # since the environment was made, so it is filled again in the same container.
    container = with_program(with_program(env, "make_env.py"), "pack_env.py")
    container = with_cache(with_channel(context.with_mirror(container), local), Cache.CONDA)
    return context.run(container, fill_cache(spec, Cache.CONDA.path))
