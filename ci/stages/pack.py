"""Export the environment: as layers for images, as a tree, and as an archive for machines without containers."""

import dagger

from ci.plan.caches import Cache
from ci.plan.layers import LIBRARIES_LAYER
from ci.plan.paths import PACKED, PREFIX
from ci.plan.stages import conda as conda_stage
from ci.plan.stages.conda import fill_cache_command
from ci.plan.stages.pack import (
    COPY_PROGRAM,
    PROGRAM,
    START_FILES,
    PackSpec,
    copy_env_command,
    pack_env_command,
)
from ci.stages.cache_volumes import with_cache
from ci.stages.conda import find_conda_spec, with_channel
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.layers import find_changed_files, split_cuda_libraries
from ci.stages.programs import program_file, with_program
from ci.stages.trim import trim_tree
from ci.util.errors import UserError

_ARCHIVE = "/opt/environment.tar.zst"


def build(stages: ImageStages, _: BuildContext) -> dict[str, dagger.Directory]:
    """Return the layers of the image by their names; each is kept for all images that share it."""
    return stages.layers()


def make_layer(stages: ImageStages, context: BuildContext, name: str) -> dagger.Directory:
    """Export, trim, compile and split one layer."""
    spec = stages.plan.spec("pack", PackSpec)
    tree = _export_stage(stages, context, "pack" if name == LIBRARIES_LAYER else name)
    tree = trim_tree(context, stages.container("pyg"), spec, tree)
    if spec.libraries and name in (LIBRARIES_LAYER, "pack"):
        libraries, rest = split_cuda_libraries(context, stages.container("base"), tree, spec.site_packages)
        return libraries if name == LIBRARIES_LAYER else rest
    return tree


def _export_stage(stages: ImageStages, context: BuildContext, name: str) -> dagger.Directory:
    """Return the environment up to PyG with what Python runs at its start, or what a stage above it adds."""
    if name == "pack":
        site_packages = f"{PREFIX}/{stages.plan.spec('pack', PackSpec).site_packages}"
        environment = stages.container("pyg")
        for file in START_FILES:
            environment = environment.with_file(f"{site_packages}/{file}", program_file(file))
        return export_environment(stages, context, environment)
    return find_changed_files(stages.container_below(name), stages.container(name))


def export_environment(
    stages: ImageStages, context: BuildContext, environment: dagger.Container
) -> dagger.Directory:
    """Export an environment as a tree for its own prefix: a layer as it is, with no conda-unpack to run.

    One that no conda made is copied.
    """
    if not stages.plan.spec("pack", PackSpec).conda:
        return context.run(with_program(environment, COPY_PROGRAM), copy_env_command(PACKED)).directory(
            PACKED
        )
    container = _with_package_cache(stages, context, environment)
    command = pack_env_command("--dest-prefix", PREFIX, "--to-dir", PACKED)
    return context.run(container, command).directory(PACKED)


def export_archive(stages: ImageStages) -> dagger.File:
    """Export the environment of a cell as a tarball that is unpacked anywhere and ends with `conda-unpack`.

    Raises:
        UserError: no conda made the environment.
    """
    if not stages.plan.spec("pack", PackSpec).conda:
        raise UserError(
            f"conda-pack exports what conda made: the environment of variant {stages.plan.variant} is not"
        )
    context = stages.stage_context("pack")
    container = _with_package_cache(stages, context, stages.environment())
    return context.run(container, pack_env_command("--archive", _ARCHIVE)).file(_ARCHIVE)


def _with_package_cache(
    stages: ImageStages, context: BuildContext, environment: dagger.Container
) -> dagger.Container:
    # conda-pack takes files with a prefix in them from the package cache. The cache volume may have been emptied
    # since the environment was made, so it is filled again in the same container.
    container = with_program(with_program(environment, conda_stage.PROGRAM), PROGRAM)
    container = with_cache(with_channel(context.with_mirror(container), stages.channel()), Cache.CONDA)
    return context.run(container, fill_cache_command(find_conda_spec(stages), Cache.CONDA.path))
