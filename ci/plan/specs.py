"""What each stage is told: every input resolved, so that a stage has nothing left to decide."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ci.config.sources import Deb
from ci.index.wheels import Wheel
from ci.util.model import FrozenModel

PREFIX = "/opt/env"
LIBRARIES = f"{PREFIX}/lib/nvidia"  # what pip's wheels bring of CUDA, beside the folders of Python versions
CUDA_HOME = "/usr/local/cuda"


class Spec(FrozenModel):
    """The inputs of one stage."""


class Account(Spec):
    """The user that images run as, and the working folder that belongs to it."""

    user: str
    uid: int
    workdir: str


class ChannelSpec(Spec):
    """A conda channel made from CPython's Maven artefacts, Debian's libraries and PyPI's wheels."""

    image: str
    recipe: str
    tools: str


class ToolkitSpec(Spec):
    """A trimmed CUDA toolkit: compiler, headers and the CUDA runtime library.

    `locked` are the wheels with all that they need, by version and hash; None where no lock fits them.
    """

    provider: Literal["image", "wheels", "hybrid"]
    cuda: str
    compiler: str
    image: str
    tools: str
    wheels: tuple[str, ...]
    locked: str | None
    deb: Deb | None


class BaseSpec(Spec):
    """The devel base: compilers, CUDA toolkit, and the tools that make environments."""

    image: str
    apt: tuple[str, ...]
    tools: str
    account: Account
    adds_toolkit: bool


class CondaSpec(Spec):
    """A conda environment at its final prefix. No channel address means the channel made by the module."""

    prefix: str
    channels: tuple[str, ...]
    packages: tuple[str, ...]
    glibc: str
    cuda: str | None


class InterpreterSpec(Spec):
    """CPython at its final prefix without conda, and pip: a standalone build of uv's, or one that a recipe makes.

    `standalone` is where uv finds builds; without it the recipe is carried out on `image`.
    """

    prefix: str
    python: str
    standalone: str | None
    image: str
    recipe: str | None
    tools: str
    pip: "InstallSpec"


class InstallSpec(Spec):
    """Python packages for the environment: requirement lines, with hashes where a lock exists."""

    requirements: str
    hashed: bool
    index: str | None = None
    extra_index: str | None = None
    frozen: bool = False
    cache_gb: float


class WheelsSpec(Spec):
    """PyG extensions compiled from source."""

    requirements: str
    arch_list: str | None
    job_gb: float


class PygSpec(Spec):
    """PyTorch Geometric with its extensions: some from an index, some compiled, some that cannot be had."""

    install: InstallSpec
    wheels: tuple[Wheel, ...]
    compiled: tuple[str, ...]
    left_out: tuple[str, ...]


class RaySpec(Spec):
    """Ray on top of the PyTorch environment: a release, a nightly wheel, or its source."""

    mode: Literal["stable", "nightly", "source"]
    install: InstallSpec
    wheel: str | None = None
    repository: str | None = None
    ref: str | None = None


class RuntimeBaseSpec(Spec):
    """The runtime base: what JIT compiling needs, and no second copy of the CUDA libraries."""

    image: str
    apt: tuple[str, ...]
    account: Account
    adds_toolkit: bool


class Trim(Spec):
    """A rule of a variant: patterns of paths below the environment that go, and of those that stay."""

    name: str
    remove: tuple[str, ...]
    unless: tuple[str, ...]


class PackSpec(Spec):
    """The environment's files, without what the variant takes out, ready to be layers: as conda-pack exports them, or
    copied where no conda made it.

    `site` is the folder of Python packages below the prefix. `libraries` are the pins of CUDA's libraries there, which
    become a layer that all Pythons share; None where there are none.
    """

    prefix: str
    conda: bool
    site_packages: str
    libraries: str | None
    trims: tuple[Trim, ...]
    strip: Literal["no", "debug", "unneeded"]


class ImageSpec(Spec):
    """The configuration of a finished image; it adds no layer."""

    kind: Literal["devel", "runtime"]
    account: Account
    env: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    entrypoint: tuple[str, ...]
    args: tuple[str, ...]
    port: int | None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a plan. Two stages with the same digest are the same step, and are built once."""

    name: str
    spec: Spec
    code: str
    parents: tuple["Stage", ...]
    reason: str

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of everything that the stage is made from: its spec, its code and its parents."""
        total = hashlib.sha256(f"{self.name} {self.code}".encode())
        for parent in self.parents:
            total.update(f" {parent.digest}".encode())
        # Fields in their order; a list of what a stage is made from needs no other form.
        total.update(self.spec.model_dump_json().encode())
        return total.hexdigest()
