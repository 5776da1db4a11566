"""What can be built: the matrix of CUDA x Python x target as data, its cells, and their selection."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import resources
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from ci.config.fields import (
    AbsolutePath,
    ArchList,
    CheckName,
    CudaVersion,
    DebianName,
    Glob,
    Kind,
    Layer,
    PythonVersion,
    Requirement,
    Version,
    Word,
)
from ci.config.schedule import Schedule
from ci.config.size_limits import SizeLimits
from ci.config.variants import Rule, Variant
from ci.util.errors import UserError, quote_value, require_choice
from ci.util.model import FrozenModel, load, parse_toml


class Cell(FrozenModel):
    """One image of the matrix.

    >>> Cell(cuda="12.8.1", python="3.13", target="ray-runtime").id
    'cu12.8.1-py3.13-ray-runtime'
    """

    cuda: CudaVersion
    python: PythonVersion
    target: Word

    @cached_property
    def id(self) -> str:
        """Return the stable name, as it appears in spans, records and globs."""
        return f"{self.pair_id}-{self.target}"

    @cached_property
    def pair_id(self) -> str:
        """Return the name of the CUDA x Python pair: `cu12.8.1-py3.13` or `cpu-py3.13`."""
        return f"{'cpu' if self.cuda == 'cpu' else f'cu{self.cuda}'}-py{self.python}"

    @property
    def abi(self) -> str:
        """Return the wheel tag of the interpreter: `cp313` for Python 3.13 (PEP 425)."""
        return f"cp{self.python.replace('.', '')}"


class Image(FrozenModel):
    """Names and configuration that all images share."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")]
    source: str
    user: Word
    uid: Annotated[int, Field(ge=1, lt=60000)]
    workdir: AbsolutePath


class Phases(FrozenModel):
    """When the users want a pair: the build phase of its runtimes and of its devels."""

    runtime: Annotated[int, Field(ge=1, le=99)]
    devel: Annotated[int, Field(ge=1, le=99)]


class Pair(FrozenModel):
    """A CUDA version with a Python version."""

    cuda: CudaVersion
    python: PythonVersion
    phases: Phases | None = None
    default: bool = True


class Target(FrozenModel):
    """What an image is for: devel or runtime, and the layers on top of the PyTorch environment."""

    kind: Kind
    layers: tuple[Layer, ...] = ()

    @model_validator(mode="after")
    def marimo_stands_on_ray(self) -> Self:
        """Refuse a marimo target without Ray: the runtime layers are deltas in that order."""
        if self.layers not in ((), ("ray",), ("ray", "marimo")):
            raise ValueError("layers are [], ['ray'] or ['ray', 'marimo']")
        return self


class CudaVersionPins(FrozenModel):
    """Facts of one CUDA version: the tag of the wheels that go with it."""

    wheel_tag: Annotated[str, StringConstraints(pattern=r"^(cpu|cu[0-9]{3})$")]
    note: str = ""


class TorchPins(FrozenModel):
    """torch and the two packages that are released with it."""

    torch: Version
    torchvision: Version
    torchaudio: Version
    note: str = ""


class ExtensionPin(FrozenModel):
    """A PyG extension: its version, and whether its source is on the package index."""

    version: Version
    sdist: bool


class Pyg(FrozenModel):
    """PyTorch Geometric and its compiled extensions."""

    torch_geometric: Version = Field(alias="torch-geometric")
    extensions: dict[Word, ExtensionPin]


class Ray(FrozenModel):
    """The Ray pins: a stable release, its extras, and the version that the nightly wheels carry."""

    version: Version
    extras: tuple[Word, ...]
    nightly: Version


class Marimo(FrozenModel):
    """The marimo pin and the port its server listens on."""

    version: Version
    port: Annotated[int, Field(ge=1, lt=65536)]


class Environment(FrozenModel):
    """Packages of the environment that the pins do not pull in."""

    packages: tuple[Requirement, ...]


class Apt(FrozenModel):
    """Debian or Ubuntu packages by kind of image."""

    devel: tuple[DebianName, ...]
    runtime: tuple[DebianName, ...]


class Limits(FrozenModel):
    """Memory of one compile job and size of the uv cache volume, in GB (10^9 bytes)."""

    job_gb: Annotated[float, Field(gt=0, le=1e6)]
    uv_cache_gb: Annotated[float, Field(gt=0, le=1e6)]


class Exclude(FrozenModel):
    """Cells that the matrix would have and nobody builds, by a glob over their ids, and why."""

    only: Glob
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Dockerfiles(FrozenModel):
    """What the committed Dockerfiles are made for: the name of a sources profile."""

    sources: Word = "upstream"


class Verify(FrozenModel):
    """The promises that the images of this matrix make, where they apply to a target; all, when nothing is said."""

    promises: tuple[CheckName, ...] = get_args(CheckName)


class Matrix(FrozenModel):
    """The whole of `matrix.toml`."""

    renamed: ClassVar[Mapping[str, str]] = {"profiles": "variants"}

    schema_: Literal[1] = Field(alias="schema")
    image: Image
    pairs: Annotated[tuple[Pair, ...], Field(min_length=1)]
    targets: Annotated[dict[Word, Target], Field(min_length=1)]
    cuda: dict[CudaVersion, CudaVersionPins]
    torch: dict[Word, dict[CudaVersion, TorchPins]]
    pyg: Pyg
    ray: Ray
    marimo: Marimo
    archs: dict[Word, dict[CudaVersion, ArchList]]
    environment: Environment
    apt: Apt
    limits: Limits
    verify: Verify = Verify()
    gates: SizeLimits = SizeLimits()
    rules: dict[Word, Rule] = Field(default_factory=dict)
    variants: dict[Word, Variant] = Field(default_factory=lambda: {"default": Variant()})
    excludes: tuple[Exclude, ...] = ()
    schedule: Schedule = Schedule()
    dockerfiles: Dockerfiles = Dockerfiles()

    @model_validator(mode="after")
    def pairs_are_known(self) -> Self:
        """Refuse a pair twice, and a pair whose CUDA version has no row in [cuda]."""
        seen: set[tuple[str, str]] = set()
        for pair in self.pairs:
            if pair.cuda not in self.cuda:
                raise ValueError(
                    f"pairs: CUDA {pair.cuda} has no row in [cuda]; rows: {', '.join(self.cuda)}"
                )
            if (pair.cuda, pair.python) in seen:
                raise ValueError(f"pairs: {pair.cuda} with Python {pair.python} stands twice")
            seen.add((pair.cuda, pair.python))
        return self

    @model_validator(mode="after")
    def variants_are_known(self) -> Self:
        """Refuse a variant of rules that are not there, and a matrix without the variant that nobody has to name."""
        if "default" not in self.variants:
            raise ValueError("variants: one must be called default")
        for name, variant in self.variants.items():
            for rule in variant.rules:
                if rule not in self.rules:
                    raise ValueError(
                        f"variants: {name} has a rule {rule}, which is not in [rules]; rules: {', '.join(self.rules)}"
                    )
        return self

    @model_validator(mode="after")
    def phases_are_known(self) -> Self:
        """Refuse a scheduled phase that no pair has."""
        for run in self.schedule.runs:
            for number in run.phases:
                if number not in self.phases:
                    known = ", ".join(map(str, self.phases)) or "none"
                    raise ValueError(f"schedule: no pair has phase {number}; phases: {known}")
        return self

    @cached_property
    def phases(self) -> tuple[int, ...]:
        """List the build phases that pairs have, in their order."""
        found = [pair.phases for pair in self.pairs if pair.phases]
        return tuple(sorted({number for phases in found for number in (phases.runtime, phases.devel)}))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """List every cell, pair by pair, in the order of the document."""
        return tuple(
            Cell(cuda=pair.cuda, python=pair.python, target=target)
            for pair in self.pairs
            for target in self.targets
        )

    @cached_property
    def built(self) -> tuple[Cell, ...]:
        """List the cells that are not excluded."""
        return tuple(cell for cell in self.cells if not self.excluded(cell))

    def cell(self, cuda: str, python: str, target: str) -> Cell:
        """Find one cell by what the user typed.

        Raises:
            UserError: a value, or the pair of two valid ones, is not in the matrix.
        """
        self.pair(cuda, python)
        require_choice("target", target, self.targets)
        cell = Cell(cuda=cuda, python=python, target=target)
        if reason := self.excluded(cell):
            raise UserError(f"{cell.id} is excluded in the matrix: {reason}")
        return cell

    def _no_pair(self, cuda: str, python: str) -> str:
        have = ", ".join(f"{pair.cuda} with {pair.python}" for pair in self.pairs)
        return f"the matrix has no pair of CUDA {cuda} with Python {python}; pairs: {have}"

    def excluded(self, cell: Cell) -> str | None:
        """Return why nobody builds a cell, None where it is built."""
        found = (exclude.reason for exclude in self.excludes if fnmatchcase(cell.id, exclude.only))
        return next(found, None)

    def phase(self, cell: Cell) -> int | None:
        """Return the build phase of a cell, None when its pair has none.

        The phases are the users' order of need; all six cells of a pair whose two phases are equal share it.
        """
        pair = next(pair for pair in self.pairs if (pair.cuda, pair.python) == (cell.cuda, cell.python))
        return getattr(pair.phases, self.targets[cell.target].kind) if pair.phases else None

    def pair(self, cuda: str, python: str) -> tuple[Cell, ...]:
        """List the cells of one pair by what the user typed, without the excluded ones.

        Raises:
            UserError: a value, or the pair of two valid ones, is not in the matrix.
        """
        require_choice("CUDA version", cuda, dict.fromkeys(pair.cuda for pair in self.pairs))
        require_choice("Python version", python, dict.fromkeys(pair.python for pair in self.pairs))
        found = [cell for cell in self.cells if (cell.cuda, cell.python) == (cuda, python)]
        if not found:
            raise UserError(self._no_pair(cuda, python))
        return tuple(cell for cell in found if not self.excluded(cell))

    def select(
        self,
        *,
        cuda: Sequence[str] = (),
        python: Sequence[str] = (),
        target: Sequence[str] = (),
        phase: Sequence[int] = (),
        only: Sequence[str] = (),
    ) -> tuple[Cell, ...]:
        """Select cells; every filter that is given must match, globs match the cell's id.

        A pair with `default = false` is taken only when `cuda` names it, or a glob in `only` names its pair
        (`cpu-*`, not `*`). An excluded cell is never taken.

        >>> [cell.id for cell in default_matrix().select(only=["cu12*-py3.13-ray-*"])]
        ['cu12.8.1-py3.13-ray-devel', 'cu12.8.1-py3.13-ray-runtime']

        Raises:
            UserError: a filter holds an unknown value, or nothing is left.
        """
        for value in cuda:
            require_choice("CUDA version", value, dict.fromkeys(pair.cuda for pair in self.pairs))
        for value in python:
            require_choice("Python version", value, dict.fromkeys(pair.python for pair in self.pairs))
        for value in target:
            require_choice("target", value, self.targets)
        for number in phase:
            require_choice("phase", str(number), map(str, self.phases))
        if cuda and python and not any(p.cuda in cuda and p.python in python for p in self.pairs):
            raise UserError(self._no_pair(", ".join(cuda), ", ".join(python)))
        hidden = {(pair.cuda, pair.python) for pair in self.pairs if not pair.default}
        patterns = [checked_glob(pattern) for pattern in only]
        chosen = tuple(
            cell
            for cell in self.cells
            if not self.excluded(cell)
            and (not cuda or cell.cuda in cuda)
            and (not python or cell.python in python)
            and (not target or cell.target in target)
            and (not phase or self.phase(cell) in phase)
            and (not patterns or any(fnmatchcase(cell.id, pattern) for pattern in patterns))
            and (
                cuda
                or (cell.cuda, cell.python) not in hidden
                or any(pattern.startswith(cell.pair_id.split("-")[0]) for pattern in patterns)
            )
        )
        if not chosen:
            named = [cell for cell in self.cells if any(fnmatchcase(cell.id, glob) for glob in patterns)]
            reasons = dict.fromkeys(reason for cell in named if (reason := self.excluded(cell)))
            if reasons:
                raise UserError(f"the selection is empty: excluded in the matrix: {'; '.join(reasons)}")
            raise UserError(
                "the selection is empty: no cell matches all filters; `dagger call cells` lists them"
            )
        return chosen


def checked_glob(pattern: str) -> str:
    """Accept a glob over cell ids; anything that can match no id is refused."""
    if not re.fullmatch(r"[A-Za-z0-9.*?\[\]!_-]{1,80}", pattern):
        raise UserError(
            f"bad glob {quote_value(pattern)}; accepted: letters, digits and .-_*?[]!, at most 80 characters"
        )
    return pattern


def read_matrix(text: str, name: str = "matrix.toml") -> Matrix:
    """Read a matrix document.

    Raises:
        UserError: the document is not TOML or does not follow the model; one line with line or key.
    """
    return load(parse_toml(text, name), Matrix, name)


def default_text() -> str:
    """Return the document that comes with the module."""
    return resources.files("ci").joinpath("matrix.toml").read_text("utf-8")


def default_matrix() -> Matrix:
    """Read the matrix that comes with the module."""
    return read_matrix(default_text())
