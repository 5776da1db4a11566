"""CUDA's libraries as a layer of their own: the same for every Python, once they lie beside the folder of one."""

import dagger
from dagger import dag

from ci.specs import LIBRARIES

_LINK = "../../nvidia"  # from site-packages
_MOUNT = "/mnt"  # a folder that every base has: making one would be in the layer


def split(tree: dagger.Directory, site: str) -> tuple[dagger.Directory, dagger.Directory]:
    """Return what NVIDIA's wheels brought, for `lib/nvidia`, and the tree with a link in its place."""
    own = f"{site}/nvidia"
    return tree.directory(own), tree.without_directory(own).with_symlink(_LINK, own)


def lay(ground: dagger.Container, own: dagger.Directory) -> dagger.Container:
    """Lay the libraries over a base, as a layer that tells nothing of when and for whom it was made.

    What Dagger copies brings the folders above it along, with the time of copying. So these are made in a step of
    their own, which is the same for all who stand on the base, and `cp` changes none of them.
    """
    container = ground.with_directory(LIBRARIES, dag.directory()).with_mounted_directory(_MOUNT, own)
    return container.with_exec(["cp", "-a", f"{_MOUNT}/.", LIBRARIES]).without_mount(_MOUNT)
