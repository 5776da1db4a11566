"""Split trees of files into layers that images share."""

from pathlib import PurePath

import dagger

from ci.plan.paths import LIBRARIES, PREFIX
from ci.plan.stages.image import NAMES_PROGRAM, name_libraries_command
from ci.plan.stages.pack import LINK_PROGRAM, link_libraries_command
from ci.plan.system import EPOCH
from ci.stages.context import BuildContext
from ci.stages.programs import with_program

_ROOT = "/opt/libraries"
_FILES = "/run/nvidia"
_LINKS = "/opt/links"
_NAMES = "/opt/names"
_BASE = "/run/base"


def find_changed_files(below: dagger.Container, above: dagger.Container) -> dagger.Directory:
    """Return what `above` adds to or changes in the environment of `below`."""
    return below.directory(PREFIX).diff(above.directory(PREFIX))


def split_cuda_libraries(
    context: BuildContext, tools: dagger.Container, tree: dagger.Directory, site_packages: str
) -> tuple[dagger.Directory, dagger.Directory]:
    """Return what NVIDIA's wheels brought, for `lib/nvidia`, and the tree with links in the place of its files.

    Beside the folder of one Python the libraries are the same for every Python.
    """
    own = f"{site_packages}/nvidia"
    libraries = tree.directory(own)
    container = with_program(tools.with_mounted_directory(_FILES, libraries), LINK_PROGRAM)
    links = context.run(container, link_libraries_command(_FILES, _LINKS)).directory(_LINKS)
    return libraries, tree.without_directory(own).with_directory(own, links)


def make_names(
    context: BuildContext, tools: dagger.Container, base: dagger.Container, libraries: dagger.Directory
) -> dagger.Directory:
    """Return links to CUDA's libraries, at their places below /, for an image on a base."""
    container = tools.with_mounted_directory(_FILES, libraries).with_mounted_directory(_BASE, base.rootfs())
    command = name_libraries_command(_FILES, _NAMES, _BASE)
    return context.run(with_program(container, NAMES_PROGRAM), command).directory(_NAMES)


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
