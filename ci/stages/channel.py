"""A conda channel out of package registries, for machines that reach no other."""

import dagger
from dagger import dag

from ci.plan.commands import CHANNEL, CHANNEL_DEBS, REFRESH, make_channel
from ci.plan.externals import CONDA
from ci.plan.specs import ChannelSpec
from ci.stages import system as apt
from ci.stages.context import BuildContext, with_program
from ci.stages.offline import ROOT, OfflineBundle
from ci.stages.tools import with_tools

_RECIPE = "/run/channel.json"


def build(context: BuildContext, spec: ChannelSpec) -> dagger.Directory:
    """Download what the recipe names, check it, and build the channel's folder."""
    container = apt.on(spec.image, context, CHANNEL_DEBS)
    container = with_program(with_tools(container, context, spec.tools), "make_channel.py")
    recipe = dag.directory().with_new_file("channel.json", spec.recipe).file("channel.json")
    container = context.run(context.with_package_index(container.with_mounted_file(_RECIPE, recipe)), REFRESH)
    for command in make_channel(_RECIPE):
        container = context.run(container, command)
    return container.directory(CHANNEL)


def laid(context: BuildContext, offline_bundle: OfflineBundle, image: str) -> dagger.Directory:
    """Lay down the channel that a bundle has, as files of its own."""
    external = context.externals[CONDA]
    container = offline_bundle.mount(context.image(image), external)
    return context.run(container, ["cp", "-rL", f"{ROOT}/{external.bundle_path}", CHANNEL]).directory(CHANNEL)
