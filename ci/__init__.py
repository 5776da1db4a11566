"""Build, verify and export ML container images: CUDA x Python x target.

Build an image:  dagger call build --cuda 12.8.1 --python 3.13 --target ray-runtime
List the cells:  dagger call cells
Show a plan:     dagger call plan --cuda 12.8.1 --python 3.13 --target ray-runtime
Run the checks:  dagger call verify --cuda 12.8.1 --python 3.13 --target ray-runtime

Options for every function come before its name: dagger call --sources registries build …
"""

try:
    from ci.main import CslrImages as CslrImages
except ImportError as error:
    # The pure packages can be imported (and tested) without Dagger; any other missing module is an error.
    if error.name != "dagger":
        raise
