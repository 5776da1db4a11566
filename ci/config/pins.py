"""Define the models of the pins of `matrix.toml`: the versions of what images hold."""

from typing import Annotated

from pydantic import Field, StringConstraints

from ci.config.fields import Requirement, Version, Word
from ci.config.names import Line
from ci.util.model import FrozenModel, accepts


class CudaVersionPins(FrozenModel):
    """Pins of one CUDA version: the tag of PyTorch's wheels for it, such as `cu128`."""

    wheel_tag: Annotated[
        str, StringConstraints(pattern=accepts(r"^(cpu|cu[0-9]{3})$", "cpu, or a tag such as cu128"))
    ]
    note: Line = ""


class TorchPins(FrozenModel):
    """Versions of torch, of the two packages that are released with it, and of the torchcodec that goes with it.

    `torchcodec_cuda` says that this torchcodec is a build for CUDA, which also decodes on the GPU.
    """

    torch: Version
    torchvision: Version
    torchaudio: Version
    torchcodec: Version | None = None
    torchcodec_cuda: bool = Field(default=False, alias="torchcodec-cuda")
    note: Line = ""


class ExtensionPin(FrozenModel):
    """The version of a PyG extension; `sdist` says whether the package index has its source."""

    version: Version
    sdist: bool


class Pyg(FrozenModel):
    """Versions of PyTorch Geometric and its compiled extensions."""

    torch_geometric: Version = Field(alias="torch-geometric")
    extensions: dict[Word, ExtensionPin]


class Video(FrozenModel):
    """Packages that decode video and sound; the version of torchcodec is beside that of torch."""

    enabled: bool = True
    opencv: bool = False
    av: Version
    opencv_python_headless: Version = Field(alias="opencv-python-headless")


class Ray(FrozenModel):
    """A stable release of Ray with its extras, and the version number of the nightly wheels."""

    version: Version
    extras: tuple[Word, ...]
    nightly: Version


class Marimo(FrozenModel):
    """The version of marimo, and the port that its server listens on."""

    version: Version
    port: Annotated[int, Field(ge=1, lt=65536)]


class Environment(FrozenModel):
    """Packages of the environment that the pinned ones do not depend on."""

    packages: tuple[Requirement, ...]
