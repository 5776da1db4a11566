"""What the matrix pins, what could stand in its place, and what a change would do to the cells. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version
from pydantic import Field

from ci.config.matrix import Cell, TorchPins
from ci.index.projects import Project
from ci.updates.feasibility import (
    COMPANIONS,
    Obstacle,
    Path,
    StageCache,
    State,
    UpdateContext,
    pyg_local_version,
)
from ci.util.model import FrozenModel


class CellImpact(FrozenModel):
    """What becomes of some cells, why, and how their PyG extensions come: `wheel`, `compile` or `left out`."""

    cells: tuple[str, ...]
    state: State
    why: tuple[str, ...] = ()
    extensions: Mapping[str, StageCache] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A version that the matrix pins, by the name that `bump` knows it by: `ray`, `torch@12.8.1`."""

    name: str
    version: str
    path: Path
    cuda: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version that could stand in a pin's place, and the values that change with it."""

    version: str
    changes: Mapping[Path, str]
    goes_with: Mapping[str, str]


def pins(context: UpdateContext) -> tuple[Pin, ...]:
    """List what the matrix pins by versions, for the sources in use."""
    matrix, sources_name = context.matrix, context.inputs.sources_name
    rows = dict.fromkeys(pair.cuda for pair in matrix.pairs if pair.cuda in matrix.torch[sources_name])
    found = [
        Pin(
            name=f"torch@{cuda}",
            version=matrix.torch[sources_name][cuda].torch,
            path=("torch", sources_name, cuda, "torch"),
            cuda=cuda,
        )
        for cuda in rows
    ]
    found.append(
        Pin(name="torch-geometric", version=matrix.pyg.torch_geometric, path=("pyg", "torch-geometric"))
    )
    found += [
        Pin(name=name, version=pin.version, path=("pyg", "extensions", name, "version"))
        for name, pin in matrix.pyg.extensions.items()
    ]
    found.append(Pin(name="ray", version=matrix.ray.version, path=("ray", "version")))
    found.append(Pin(name="marimo", version=matrix.marimo.version, path=("marimo", "version")))
    return tuple(found)


# -- versions ------------------------------------------------------------------------------------------------


def versions(context: UpdateContext, pin: Pin) -> tuple[Version, ...] | str:
    """List the versions that the indexes have of what is pinned, the newest first, or why they are not known."""
    if pin.cuda:
        found: Iterable[Version] | str = _torches(context, pin)
    elif pin.name in context.matrix.pyg.extensions:
        found = _extensions(context, pin)
    else:
        project = context.index_cache.project(pin.name)
        found = project.problem or project.versions()
    if isinstance(found, str):
        return found
    return tuple(sorted(set(found), reverse=True))


def candidates(context: UpdateContext, pin: Pin) -> tuple[Candidate, ...]:
    """List what could stand in a pin's place and is newer, newest first; the same torch too if its companions are."""
    found = versions(context, pin)
    newer = [one for one in found if one >= Version(pin.version)] if not isinstance(found, str) else []
    return tuple(new for one in newer if (new := candidate(context, pin, one)).changes)


def best_upgrade(context: UpdateContext, pin: Pin) -> Candidate | None:
    """Return the newest version that breaks no cell, None where that is what is pinned, or nothing is known."""
    found = candidates(context, pin)
    return next((one for one in found if not regressions(context, context.changed(one.changes))), None)


def candidate(context: UpdateContext, pin: Pin, version: Version) -> Candidate:
    """Say what changes with a version: torch brings what is released with it."""
    changes = {} if version == Version(pin.version) else {pin.path: str(version)}
    goes_with: dict[str, str] = {}
    if pin.cuda:
        for name in COMPANIONS:
            goes_with[name] = _companion(context, pin, name, version)
            if goes_with[name] != getattr(_row(context, pin), name):
                changes[(*pin.path[:-1], name)] = goes_with[name]
    return Candidate(version=str(version), changes=changes, goes_with=goes_with)


def _torches(context: UpdateContext, pin: Pin) -> Iterable[Version] | str:
    """List the versions of torch on all indexes that are known, so that one without wheels for a row is seen too."""
    tag = context.matrix.cuda[pin.cuda].wheel_tag
    own, local = context.torch("torch", tag)
    if own.problem:
        return own.problem
    found = {*own.versions(local)}.union(
        *(other.versions(label) for label, other in torch_indexes(context).items())
    )
    return {Version(one.public) for one in found}


def torch_indexes(context: UpdateContext) -> dict[str | None, Project]:
    """Return what the indexes in use have of torch, by the local label of its versions, none on the package index."""
    tags = dict.fromkeys(context.matrix.cuda[pair.cuda].wheel_tag for pair in context.matrix.pairs)
    found = {local: project for project, local in (context.torch("torch", tag) for tag in tags)}
    return {**found, None: context.index_cache.project("torch")}


def _companion(context: UpdateContext, pin: Pin, name: str, torch: Version) -> str:
    """Choose what goes with a torch: the newest that says so, else one that says nothing, else what is pinned."""
    pinned = str(getattr(_row(context, pin), name))
    project, local = context.torch(name, context.matrix.cuda[pin.cuda].wheel_tag)
    newer = torch >= Version(pin.version)
    pythons = [pair.python for pair in context.matrix.pairs if pair.cuda == pin.cuda]
    glibc = context.inputs.sources.images.glibc
    silent = unread = ""
    for version in project.versions(local):
        if (Version(version.public) >= Version(pinned)) is not newer and version.public != pinned:
            continue
        files = project.of(version.public, local)
        if not all(any(file.fits(python, glibc) for file in files) for python in pythons):
            continue
        needs = context.needs(name, files)
        if isinstance(needs, str):
            unread = unread or version.public  # whoever looks at it finds the same trouble, and takes nothing
            continue
        asked = needs.on("torch", pythons[0])
        if asked and all(one.specifier.contains(torch.public, prereleases=True) for one in asked):
            return unread or version.public
        if not asked and (not silent or version.public == pinned):
            silent = version.public
    return silent or pinned


def _extensions(context: UpdateContext, pin: Pin) -> Iterable[Version] | str:
    """List the versions of a PyG extension: sources on the package index, wheels on the pages of the pinned torches."""
    found: set[Version] = set()
    project = context.index_cache.project(pin.name)
    if project.problem and not project.absent:
        return project.problem
    if context.matrix.pyg.extensions[pin.name].sdist:
        found |= set(project.versions())
    for row in pins(context):
        tag = context.matrix.cuda[row.cuda].wheel_tag if row.cuda else ""
        address = context.pyg_page(row.version, tag) if row.cuda else None
        if address:
            listed = context.index_cache.wheels(address, pin.name, pyg_local_version(row.version, tag))
            if isinstance(listed, str):
                return listed
            found |= set(listed)
    return found


def _row(context: UpdateContext, pin: Pin) -> TorchPins:
    return context.matrix.torch[context.inputs.sources_name][pin.cuda]


# -- effects -------------------------------------------------------------------------------------------------


def cells(context: UpdateContext, cuda: str, python: str) -> tuple[Cell, ...]:
    """Return the cells that a pair has or would have, without those that nobody builds."""
    return context.matrix.cells_of(cuda, python)


def regressions(before: UpdateContext, after: UpdateContext) -> tuple[str, ...]:
    """Tell what a change breaks: troubles that were not there before, extensions that are lost."""
    found: dict[str, None] = {}
    for pair in after.matrix.pairs:
        old, new = before.feasibility(pair.cuda, pair.python), after.feasibility(pair.cuda, pair.python)
        for cell in cells(after, pair.cuda, pair.python):
            target = after.matrix.targets[cell.target]
            known = old.of(target)
            for trouble in new.of(target):
                if trouble not in known:
                    found[f"{cell.pair_id}: {trouble.why}"] = None
        for name, made in new.extensions.items():
            if made == "left out" and old.extensions.get(name) in ("wheel", "compile"):
                found[f"{cell.pair_id}: {name} would be left out"] = None
    return tuple(found)


def effects(before: UpdateContext, after: UpdateContext, *, of: str = "") -> tuple[CellImpact, ...]:
    """Tell what becomes of the cells of a changed matrix: of those that change, or of all of one CUDA version."""
    found: list[CellImpact] = []
    for pair in after.matrix.pairs:
        if of and pair.cuda != of:
            continue
        old, new = (context.feasibility(pair.cuda, pair.python) for context in (before, after))
        changed = [
            name
            for name, target in after.matrix.targets.items()
            if of or old.extensions != new.extensions or old.of(target) != new.of(target)
        ]
        found += pair_effects(after, pair.cuda, pair.python, changed)
    return tuple(found)


def pair_effects(
    context: UpdateContext, cuda: str, python: str, targets: Iterable[str] | None = None
) -> list[CellImpact]:
    """Group the cells of a pair, or those of some targets, by what stands in their way."""
    feasibility = context.feasibility(cuda, python)
    wanted = context.matrix.targets if targets is None else frozenset(targets)
    groups: dict[tuple[Obstacle, ...], list[str]] = {}
    for cell in cells(context, cuda, python):
        if cell.target in wanted:
            groups.setdefault(feasibility.of(context.matrix.targets[cell.target]), []).append(cell.id)
    return [
        CellImpact(
            cells=tuple(ids),
            state=_state(troubles),
            why=tuple(dict.fromkeys(one.why for one in troubles)),
            extensions=dict(feasibility.extensions) if _state(troubles) != "impossible" else {},
        )
        for troubles, ids in groups.items()
    ]


def _state(troubles: Sequence[Obstacle]) -> State:
    states = {one.state for one in troubles}
    return "impossible" if "impossible" in states else "unknown" if states else "possible"
