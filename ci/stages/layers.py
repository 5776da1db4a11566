"""CUDA's libraries as a layer of their own: the same for every Python, once they lie beside the folder of one."""

from pathlib import PurePath

import dagger

from ci.plan.commands import EPOCH
from ci.plan.specs import LIBRARIES
from ci.stages.context import BuildContext

_LINK = "../../nvidia"  # from site-packages
_ROOT = "/opt/libraries"


def split(tree: dagger.Directory, context: str) -> tuple[dagger.Directory, dagger.Directory]:
    """Return what NVIDIA's wheels brought, for `lib/nvidia`, and the tree with a link in its place."""
    own = f"{context}/nvidia"
    return tree.directory(own), tree.without_directory(own).with_symlink(_LINK, own)


def layer(context: BuildContext, tools: dagger.Container, own: dagger.Directory) -> dagger.Directory:
    """Return the libraries at their place below /, as a layer that tells nothing of when and for whom it was made.

    What Dagger copies has the folders above it made anew, with the time of that in the layer: they get a fixed one.
    Files are not copied for it, only linked.
    """
    place = PurePath(f"{_ROOT}{LIBRARIES}")
    above = [str(folder) for folder in place.parents if folder.is_relative_to(_ROOT)]
    container = tools.with_directory(str(place), own)
    return context.run(container, ["touch", "-d", f"@{EPOCH}", *above]).directory(_ROOT)
