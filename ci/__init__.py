"""Builds, verifies and exports ML container images: CUDA x Python x target.

One image:      dagger call build --cuda 12.8.1 --python 3.13 --target ray-runtime
What there is:  dagger call cells
What and why:   dagger call plan --cuda 12.8.1 --python 3.13 --target ray-runtime
Does it work:   dagger call verify --cuda 12.8.1 --python 3.13 --target ray-runtime

Options for every function come before its name: dagger call --sources registries build …
"""

try:
    from ci.main import CslrImages as CslrImages
except ImportError as error:
    # The pure core is importable (and tested) where there is no Dagger; a broken module still shows as one.
    if error.name != "dagger":
        raise
