"""The arguments of the public functions: their types with the text of `--help`, written once."""

from typing import Annotated

import dagger
from dagger import Doc

Cuda = Annotated[str, Doc("CUDA version, or `cpu`: `12.8.1`. `dagger call cells` lists what there is.")]
Python = Annotated[str, Doc("Python version: `3.13`.")]
Target = Annotated[
    str,
    Doc(
        "What the image is for: `devel`, `runtime`, `ray-devel`, `ray-runtime`, `marimo-devel` or `marimo-runtime`."
    ),
]
SourcesName = Annotated[
    str,
    Doc(
        "Where bytes come from: `upstream` (NVIDIA, conda-forge, PyTorch) or `registries` (Debian, PyPI, Maven)."
    ),
]
Mirrors = Annotated[
    dagger.File | None,
    Doc("A TOML file of your own addresses, laid over the sources: `mirrors.toml` (see README)."),
]
MirrorService = Annotated[
    dagger.Service | None,
    Doc("A mirror that listens on your machine, reached as host `mirror`: `tcp://127.0.0.1:8080`."),
]
MatrixFile = Annotated[
    dagger.File | None, Doc("A matrix of your own in place of the module's: `matrix.toml`.")
]
Archs = Annotated[
    str | None, Doc("GPU architectures of compiled extensions: `8.0 9.0+PTX`. Unset: those of the matrix.")
]
Jobs = Annotated[
    int | None, Doc("Compile jobs at once: `2`. Unset: what memory and cores allow (3.5 GB a job).")
]
RayMode = Annotated[str, Doc("Where Ray comes from: `stable`, `nightly` (a wheel) or `source` (bazel).")]
Strip = Annotated[
    bool, Doc("Strip symbols from the environment's shared libraries; gives up native profiling.")
]
Cudas = Annotated[list[str] | None, Doc("CUDA versions to include: `12.8.1,13.1.1`. Unset: all but `cpu`.")]
Pythons = Annotated[list[str] | None, Doc("Python versions to include: `3.13`. Unset: all.")]
Targets = Annotated[list[str] | None, Doc("Targets to include: `runtime,ray-runtime`. Unset: all.")]
Phases = Annotated[list[int] | None, Doc("Build phases to include: `1`. Unset: all.")]
Only = Annotated[list[str] | None, Doc("Globs over cell ids: `cu12*-py3.13-ray-*`. Unset: all.")]
AnyImage = Annotated[dagger.Container, Doc("An image that keeps its environment at /opt/env.")]
Verified = Annotated[dagger.Container | None, Doc("The image to verify. Unset: the one that `build` gives.")]
Packed = Annotated[dagger.Directory, Doc("A packed environment, as `packed` exports it.")]
