"""Make the conda channel out of package registries, or copy it out of a bundle."""

import dagger

from ci.plan.externals import CONDA
from ci.plan.paths import CHANNEL
from ci.plan.stages.base import BaseSpec
from ci.plan.stages.channel import PACKAGES, PROGRAM, ChannelSpec, make_channel_commands
from ci.plan.system import UPDATE_LISTS
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.offline import ROOT, OfflineBundle
from ci.stages.programs import with_program
from ci.stages.system import make_base_with_packages
from ci.stages.texts import make_text_file
from ci.stages.tools import install_tools

_RECIPE = "/run/channel.json"


def build(stages: ImageStages, context: BuildContext) -> dagger.Directory:
    """Download what the recipe names, check it, and build the channel's folder; a bundle has it already."""
    if context.offline_bundle:
        return copy_bundled_channel(stages, context, context.offline_bundle)
    spec = stages.plan.spec("channel", ChannelSpec)
    container = make_base_with_packages(context, spec.image, PACKAGES)
    container = with_program(install_tools(context, container, spec.tools), PROGRAM)
    recipe = make_text_file("channel.json", spec.recipe)
    container = container.with_mounted_file(_RECIPE, recipe)
    container = context.run(context.with_package_index(container), UPDATE_LISTS)
    for command in make_channel_commands(_RECIPE):
        container = context.run(container, command)
    return container.directory(CHANNEL)


def copy_bundled_channel(
    stages: ImageStages, context: BuildContext, bundle: OfflineBundle
) -> dagger.Directory:
    """Copy the channel out of a bundle, as files of its own."""
    external = context.externals[CONDA]
    container = bundle.mount(context.image(stages.plan.spec("base", BaseSpec).image), external)
    copy = ["cp", "-rL", f"{ROOT}/{external.bundle_path}", CHANNEL]
    return context.run(container, copy).directory(CHANNEL)
