"""CUDA's libraries as a layer of their own: the same for every Python, once they lie beside the folder of one."""

import dagger

_LINK = "../../nvidia"  # from site-packages


def split(tree: dagger.Directory, site: str) -> tuple[dagger.Directory, dagger.Directory]:
    """Return what NVIDIA's wheels brought, for `lib/nvidia`, and the tree with a link in its place."""
    own = f"{site}/nvidia"
    return tree.directory(own), tree.without_directory(own).with_symlink(_LINK, own)
