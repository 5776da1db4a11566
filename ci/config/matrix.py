"""Define the models of `matrix.toml` and list its cells: CUDA x Python x target."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import resources
from typing import Annotated, ClassVar, Self, get_args

from pydantic import Field, field_validator, model_validator

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
    Word,
)
from ci.config.names import MAX_TAG, HubName, Line, Reason, TargetName, VariantName
from ci.config.pins import CudaVersionPins, Environment, Marimo, Pyg, Ray, TorchPins, Video
from ci.config.schedule import Schedule
from ci.config.size_limits import SizeLimits
from ci.config.variants import PathPattern, Rule, Variant
from ci.util.model import FirstSchema, FrozenModel, load_model, parse_toml

_MIN_GB, _MAX_GB = 0.001, 1e6
Gigabytes = Annotated[float, Field(ge=_MIN_GB, le=_MAX_GB)]


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
        """Return the stable name of the cell in spans, records and globs."""
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
    """Names and settings that all images share."""

    name: HubName
    source: Line
    user: Word
    uid: Annotated[int, Field(ge=1, lt=60000)]
    workdir: AbsolutePath


class Phases(FrozenModel):
    """Build phases of a pair's runtime and devel images; lower numbers are needed sooner."""

    runtime: Annotated[int, Field(ge=1, le=99)]
    devel: Annotated[int, Field(ge=1, le=99)]


class Pair(FrozenModel):
    """A row of the matrix: a CUDA version with a Python version.

    A pair that is not `default` is built only if the caller names it.
    """

    cuda: CudaVersion
    python: PythonVersion
    phases: Phases | None = None
    default: bool = True


class Target(FrozenModel):
    """The kind of an image, and its layers on top of the PyTorch environment."""

    kind: Kind
    layers: tuple[Layer, ...] = ()

    @model_validator(mode="after")
    def check_layer_order(self) -> Self:
        """Require Ray below marimo: each runtime layer holds only what differs from the one below."""
        if self.layers not in ((), ("ray",), ("ray", "marimo")):
            raise ValueError("layers are [], ['ray'] or ['ray', 'marimo']")
        return self


class Apt(FrozenModel):
    """Debian or Ubuntu packages of each kind of image."""

    devel: tuple[DebianName, ...]
    runtime: tuple[DebianName, ...]


class JobMemory(FrozenModel):
    """Memory of one compiler in GB (10^9 bytes): CUDA and host sources, with narrow headers or with torch's own."""

    cu: Gigabytes
    cpp: Gigabytes
    full_cu: Gigabytes
    full_cpp: Gigabytes


class ResourceEstimates(FrozenModel):
    """Memory of compile jobs, and the size to which uv's cache is pruned, in GB (10^9 bytes).

    `full_headers` compiles with torch's own headers only, instead of those that include what a source uses.
    """

    job_gb: JobMemory
    uv_cache_gb: Gigabytes
    full_headers: bool = False

    @field_validator("job_gb", mode="before")
    @classmethod
    def accept_number(cls, value: object) -> object:
        """Take one number for all kinds of jobs."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        if not _MIN_GB <= value <= _MAX_GB:
            raise ValueError(f"must be a number of GB above 0: {_MIN_GB:g} to {_MAX_GB:g}")
        return dict.fromkeys(JobMemory.model_fields, value)

    @property
    def largest_job_gb(self) -> float:
        """Return the memory of the largest compile job, GB."""
        jobs = self.job_gb
        return max(jobs.full_cu, jobs.full_cpp) if self.full_headers else max(jobs.cu, jobs.cpp)


class Bytecode(FrozenModel):
    """Modules of the environment that are not compiled beforehand, by patterns of their paths; all others are."""

    without: tuple[PathPattern, ...] = ()


class Exclude(FrozenModel):
    """Cells that are not built, by a glob over their ids, and the reason."""

    only: Glob
    reason: Reason


class Dockerfiles(FrozenModel):
    """The sources profile that the committed Dockerfiles are written for."""

    sources: Word = "upstream"


class Verify(FrozenModel):
    """Checks that images must pass, where they apply to the target; by default all."""

    renamed: ClassVar[Mapping[str, str]] = {"promises": "checks"}

    checks: tuple[CheckName, ...] = get_args(CheckName)


class Matrix(FrozenModel):
    """The document `matrix.toml`."""

    renamed: ClassVar[Mapping[str, str]] = {"profiles": "variants"}

    schema_: FirstSchema = Field(alias="schema")
    image: Image
    pairs: Annotated[tuple[Pair, ...], Field(min_length=1)]
    targets: Annotated[dict[TargetName, Target], Field(min_length=1)]
    cuda: dict[CudaVersion, CudaVersionPins]
    torch: dict[Word, dict[CudaVersion, TorchPins]]
    pyg: Pyg
    video: Video | None = None
    ray: Ray
    marimo: Marimo
    archs: dict[Word, dict[CudaVersion, ArchList]]
    environment: Environment
    apt: Apt
    limits: ResourceEstimates
    bytecode: Bytecode = Bytecode()
    verify: Verify = Verify()
    gates: SizeLimits = SizeLimits()
    rules: dict[Word, Rule] = Field(default_factory=dict)
    variants: dict[VariantName, Variant] = Field(default_factory=lambda: {"default": Variant()})
    excludes: tuple[Exclude, ...] = ()
    schedule: Schedule = Schedule()
    dockerfiles: Dockerfiles = Dockerfiles()

    @model_validator(mode="after")
    def check_pairs(self) -> Self:
        """Require each pair once, and a row in [cuda] for its CUDA version."""
        seen: set[tuple[str, str]] = set()
        for pair in self.pairs:
            if pair.cuda not in self.cuda:
                raise ValueError(
                    f"pairs: CUDA {pair.cuda} has no row in [cuda]; rows: {', '.join(self.cuda)}"
                )
            if (pair.cuda, pair.python) in seen:
                raise ValueError(f"pairs: {pair.cuda} with Python {pair.python} is given twice")
            seen.add((pair.cuda, pair.python))
        return self

    @model_validator(mode="after")
    def check_wheel_tags(self) -> Self:
        """Require a wheel tag for the CUDA version that has it, and that no two pairs have images of the same tags."""
        for cuda, pins in self.cuda.items():
            major = "cpu" if cuda == "cpu" else f"cu{cuda.partition('.')[0]}"
            if pins.wheel_tag != major and pins.wheel_tag[:-1] != major:
                raise ValueError(
                    f"cuda: {cuda} has wheel_tag {pins.wheel_tag}, whose wheels are for another CUDA"
                )
        owners: dict[tuple[str, str], str] = {}
        for pair in self.pairs:
            tag = self.cuda[pair.cuda].wheel_tag
            if (other := owners.setdefault((tag, pair.python), pair.cuda)) != pair.cuda:
                raise ValueError(
                    f"pairs: CUDA {other} and {pair.cuda} with Python {pair.python} both have wheel_tag {tag}: "
                    "their images would have the same tags, and one would replace the other"
                )
        return self

    @model_validator(mode="after")
    def check_tags(self) -> Self:
        """Require that a target and a variant make a tag of their own, which is no longer than a registry takes."""
        versions = [pins.torch for rows in self.torch.values() for pins in rows.values()]
        rest = len("-cu128-py313-torch-ray-marimo") + max(map(len, versions), default=0)
        rest += max(len(self.ray.version), len(self.ray.nightly)) + len(self.marimo.version)
        owners: dict[str, str] = {}
        for target in self.targets:
            for variant in self.variants:
                name = target if variant == "default" else f"{target}-{variant}"
                what = f"target {target} with variant {variant}"
                if (other := owners.setdefault(name, what)) != what:
                    raise ValueError(f"targets: {what} would have the tags of {other}: {name}-…")
                if len(name) + rest > MAX_TAG:
                    raise ValueError(f"targets: {what} has a tag of more than {MAX_TAG} characters: {name}-…")
        return self

    @model_validator(mode="after")
    def check_variants(self) -> Self:
        """Require a variant called `default`, and that [rules] has every rule of a variant."""
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
    def check_schedule(self) -> Self:
        """Require that every scheduled phase is a phase of some pair."""
        for run in self.schedule.runs:
            for number in run.phases:
                if number not in self.phases:
                    known = ", ".join(map(str, self.phases)) or "none"
                    raise ValueError(f"schedule: no pair has phase {number}; phases: {known}")
        return self

    @property
    def has_video(self) -> bool:
        """Return whether images have the packages that decode video."""
        return self.video is not None and self.video.enabled

    @cached_property
    def phases(self) -> tuple[int, ...]:
        """Return the build phases of all pairs, in ascending order."""
        rows = [pair.phases for pair in self.pairs if pair.phases]
        return tuple(sorted({number for row in rows for number in (row.runtime, row.devel)}))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Return every cell, the excluded ones too, pair by pair in the order of the document."""
        return tuple(
            Cell(cuda=pair.cuda, python=pair.python, target=target)
            for pair in self.pairs
            for target in self.targets
        )

    @cached_property
    def built(self) -> tuple[Cell, ...]:
        """Return the cells that are not excluded, in the order of the document."""
        return tuple(cell for pair in self.pairs for cell in self.cells_of(pair.cuda, pair.python))

    def cells_of(self, cuda: str, python: str) -> tuple[Cell, ...]:
        """List the cells that a pair has, or would have in this matrix, without the excluded ones."""
        return tuple(cell for cell in self.cells_in(cuda, python) if not self.exclusion_reason(cell))

    def cells_in(self, cuda: str, python: str) -> tuple[Cell, ...]:
        """List the cells that a pair has, or would have in this matrix, the excluded ones too."""
        return tuple(Cell(cuda=cuda, python=python, target=target) for target in self.targets)

    def exclusion_reason(self, cell: Cell) -> str | None:
        """Return why a cell is excluded, None if it is built."""
        reasons = (exclude.reason for exclude in self.excludes if fnmatchcase(cell.id, exclude.only))
        return next(reasons, None)

    def phase_of(self, cell: Cell) -> int | None:
        """Return the build phase of a cell, None if its pair has no phases."""
        phases = self._pairs_by_name[cell.cuda, cell.python].phases
        return getattr(phases, self.targets[cell.target].kind) if phases else None

    def is_default(self, cell: Cell) -> bool:
        """Return whether a cell is built without being named."""
        return self._pairs_by_name[cell.cuda, cell.python].default

    def has_default_pair(self, cuda: str) -> bool:
        """Return whether some pair of a CUDA version is built without being named."""
        return cuda in self._default_cuda

    @cached_property
    def _pairs_by_name(self) -> Mapping[tuple[str, str], Pair]:
        return {(pair.cuda, pair.python): pair for pair in self.pairs}

    @cached_property
    def _default_cuda(self) -> frozenset[str]:
        return frozenset(pair.cuda for pair in self.pairs if pair.default)


def read_matrix(text: str, name: str = "matrix.toml") -> Matrix:
    """Read a matrix document; `name` is what error messages call it.

    Raises:
        UserError: the document is not TOML, or a value is wrong; the message names the line or the key.
    """
    return load_model(parse_toml(text, name), Matrix, name)


def default_text() -> str:
    """Return the text of the matrix that comes with the module."""
    return resources.files("ci").joinpath("matrix.toml").read_text("utf-8")


def default_matrix() -> Matrix:
    """Read the matrix that comes with the module."""
    return read_matrix(default_text())
