"""CUDA's libraries as a layer of their own: the same for every Python, once they lie beside the folder of one."""

import dagger
from dagger import dag

from ci.specs import LIBRARIES

_LINK = "../../nvidia"  # from site-packages


def split(tree: dagger.Directory, site: str) -> tuple[dagger.Directory, dagger.Directory]:
    """Return what NVIDIA's wheels brought, for `lib/nvidia`, and the tree with a link in its place."""
    own = f"{site}/nvidia"
    return tree.directory(own), tree.without_directory(own).with_symlink(_LINK, own)


def ready(ground: dagger.Container) -> dagger.Container:
    """Make the libraries' folder in a base, once for all who stand on it.

    A step that makes it and fills it would write the time of that into the layer, which no two pairs would share.
    """
    return ground.with_directory(LIBRARIES, dag.directory())
