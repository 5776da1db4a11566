"""Split trees of files into layers that images share."""

from pathlib import PurePath

import dagger

from ci.plan.paths import LIBRARIES, PREFIX
from ci.plan.system import EPOCH
from ci.stages.context import BuildContext

_LINK = "../../nvidia"  # from site-packages
_ROOT = "/opt/libraries"


def find_changed_files(below: dagger.Container, above: dagger.Container) -> dagger.Directory:
    """Return what `above` adds to or changes in the environment of `below`."""
    return below.directory(PREFIX).diff(above.directory(PREFIX))


def split_cuda_libraries(
    tree: dagger.Directory, site_packages: str
) -> tuple[dagger.Directory, dagger.Directory]:
    """Return what NVIDIA's wheels brought, for `lib/nvidia`, and the tree with a link in its place.

    Beside the folder of one Python the libraries are the same for every Python.
    """
    own = f"{site_packages}/nvidia"
    return tree.directory(own), tree.without_directory(own).with_symlink(_LINK, own)


def make_cuda_layer(
    context: BuildContext, tools: dagger.Container, libraries: dagger.Directory
) -> dagger.Directory:
    """Return the libraries at their place below /, as a reproducible layer (fixed timestamps).

    Folders above what Dagger copies get the time of the copy: here they get a fixed one. Files are only linked.
    """
    place = PurePath(f"{_ROOT}{LIBRARIES}")
    above = [str(folder) for folder in place.parents if folder.is_relative_to(_ROOT)]
    container = tools.with_directory(str(place), libraries)
    return context.run(container, ["touch", "-d", f"@{EPOCH}", *above]).directory(_ROOT)
