"""Estimate a build before it begins: its stages, which were built before, how long it takes and what disk it needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ci.plan.plan import Plan
from ci.util.model import FrozenModel, load_model, parse_toml
from ci.util.units import format_count, format_duration

_TABLE = "times.toml"


class StageTime(FrozenModel):
    """The measured seconds of a stage; more cores make it shorter if it `scales`."""

    seconds: float
    scales: bool = False


class Disk(FrozenModel):
    """The GB that an environment and its image leave in the engine's state."""

    gb: float


class TimeTable(FrozenModel):
    """Measured times of stages on a machine of `cores`, and of what is done with a finished image."""

    cores: int
    disk: Disk
    finish: StageTime
    stages: Mapping[str, StageTime]

    def guess(self, stage: str, cores: int) -> float | None:
        """Return the seconds of a stage on a machine of some cores, None for a stage that was never measured."""
        time = self.stages.get(stage)
        if time is None:
            return None
        return time.seconds * self.cores / cores if time.scales else time.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage that some cells share; `seconds` are None if nothing is known.

    `built` says that the engine has built it before; `guessed` that the seconds are from the table.
    """

    name: str
    digest: str
    cell: str
    cells: int
    seconds: float | None
    built: bool
    guessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEstimate:
    """The estimate of a build: its stages in order, its cells, and the GB that it leaves on disk."""

    stages: tuple[StageEstimate, ...]
    cells: tuple[str, ...]
    finish: float
    disk_gb: float

    @property
    def seconds(self) -> float:
        """Return the seconds of all stages that are not built yet, and of what is done with the images."""
        return sum(stage.seconds or 0.0 for stage in self.stages if not stage.built) + self.finish * len(
            self.cells
        )

    def seconds_left(self, cells: Iterable[str], built: Iterable[str]) -> float:
        """Return the seconds that some cells still take if the stages of some digests are built."""
        left, done = set(cells), set(built)
        stages = (
            stage.seconds or 0.0
            for stage in self.stages
            if stage.cell in left and not stage.built and stage.digest not in done
        )
        return sum(stages) + self.finish * len(left)


@cache
def read_table() -> TimeTable:
    """Read the table of measured times that comes with the module."""
    return load_model(
        parse_toml(resources.files("ci").joinpath(_TABLE).read_text("utf-8"), _TABLE), TimeTable, _TABLE
    )


def estimate_build(
    plans: Sequence[Plan], known: Mapping[str, float], cores: int, *, finishes: bool
) -> BuildEstimate:
    """Estimate the build of some plans on a machine of some cores.

    `known` are seconds of stages that were built before, by digest. `finishes` says whether images are also verified
    and measured.
    """
    table = read_table()
    uses: dict[str, int] = {}
    for plan in plans:
        for stage in plan.stages:
            uses[stage.digest] = uses.get(stage.digest, 0) + 1
    stages: dict[str, StageEstimate] = {}
    for plan in plans:
        for stage in plan.stages:
            built = stage.digest in known
            stages.setdefault(
                stage.digest,
                StageEstimate(
                    name=stage.name,
                    digest=stage.digest,
                    cell=plan.id,
                    cells=uses[stage.digest],
                    seconds=known[stage.digest] if built else table.guess(stage.name, cores),
                    built=built,
                    guessed=not built,
                ),
            )
    new = sum(stage.name == "torch" and not stage.built for stage in stages.values())
    return BuildEstimate(
        stages=tuple(stages.values()),
        cells=tuple(plan.id for plan in plans),
        finish=table.finish.seconds if finishes else 0.0,
        disk_gb=new * table.disk.gb,
    )


def describe_estimate(estimate: BuildEstimate, *, cores: int, free_gb: float) -> list[str]:
    """Return the lines that a person reads before a build."""
    built = [stage for stage in estimate.stages if stage.built]
    new = [stage for stage in estimate.stages if not stage.built]
    cells = format_count(len(estimate.cells), "image", "images")
    lines = [f"{cells}, {format_count(len(estimate.stages), 'stage', 'stages')}:"]
    lines += [f"  {_describe_stage(stage, len(estimate.cells))}" for stage in new]
    if built:
        names = ", ".join(dict.fromkeys(stage.name for stage in built))
        lines.append(
            f"  probably cached: {names} (this engine's records have them; it may have dropped some)"
        )
    unknown = [stage.name for stage in new if stage.seconds is None]
    guess = f", a guess from times on 2 cores put to {cores}" if new else ""
    lines.append(
        f"about {format_duration(estimate.seconds)}{guess}"
        + (f"; nothing is known of {', '.join(dict.fromkeys(unknown))}" if unknown else "")
    )
    lines.append(f"about {estimate.disk_gb:.0f} GB of disk, of {free_gb:.0f} GB that are free")
    return lines


def _describe_stage(stage: StageEstimate, cells: int) -> str:
    time = "unknown" if stage.seconds is None else f"about {format_duration(stage.seconds)}"
    owner = f" of {stage.cell}" if cells > 1 else ""
    shared = f", shared by {stage.cells} images" if stage.cells > 1 else ""
    return f"{stage.name}{owner}: {time}{shared}"
