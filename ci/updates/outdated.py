"""Newer versions of what the matrix pins, and what each would do to its cells, as the indexes are now. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import Field

from ci.config.matrix import TorchPins
from ci.index.projects import WheelMetadata
from ci.plan import requirements
from ci.updates.feasibility import COMPANIONS, Path, UpdateContext, python_source, tag_of
from ci.updates.pins import (
    Candidate,
    CellImpact,
    Pin,
    best_upgrade,
    candidate,
    candidates,
    effects,
    pair_effects,
    pins,
    torch_indexes,
    versions,
)
from ci.util.model import FrozenModel

_NUMBERS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")  # how CUDA versions are written
# What makes environments; pinned beside the matrix, in the lock of the tools.
TOOLS = ("conda-pack", "py-rattler", "uv")


class Upgrade(FrozenModel):
    """A newer version: what it goes with, what is known of it, and what it would do."""

    version: str
    goes_with: Mapping[str, str] = Field(default_factory=dict)
    facts: tuple[str, ...] = ()
    effects: tuple[CellImpact, ...] = ()


class OutdatedPin(FrozenModel):
    """One thing that is pinned, the newest version of it, and the newest that breaks no cell, which `bump` takes.

    `newest` is None where it is not known, `problem` tells why; `takes` is None where nothing newer can be taken.
    """

    name: str
    pinned: str | None = None
    newest: str | None = None
    takes: str | None = None
    note: str = ""
    problem: str | None = None
    offers: tuple[Upgrade, ...] = ()


def latest(context: UpdateContext) -> tuple[OutdatedPin, ...]:
    """Look at everything that is pinned."""
    return (
        *_cudas(context),
        *_pythons(context),
        *(_pinned(context, pin) for pin in pins(context)),
        *_tools(context),
    )


# -- findings ------------------------------------------------------------------------------------------------


def _pinned(context: UpdateContext, pin: Pin) -> OutdatedPin:
    known = versions(context, pin)
    if isinstance(known, str):
        return OutdatedPin(name=pin.name, pinned=pin.version, problem=known)
    gone = (
        "" if Version(pin.version) in known else f"{pin.version} is on no index of these sources, or yanked"
    )
    take = best_upgrade(context, pin)
    told = {one.version: one for one in (*candidates(context, pin)[:1], *((take,) if take else ()))}
    return OutdatedPin(
        name=pin.name,
        pinned=pin.version,
        newest=str(known[0]) if known else None,
        takes=take.version if take else None,
        note=gone,
        offers=tuple(_offer(context, pin, one) for one in told.values()),
    )


def _offer(context: UpdateContext, pin: Pin, new: Candidate) -> Upgrade:
    after = context.changed(new.changes)
    found = effects(context, after, of=pin.cuda)
    vain = bool(found) and all(one.state == "impossible" for one in found)
    return Upgrade(
        version=new.version,
        goes_with={} if vain else new.goes_with,
        facts=_torch_facts(after, pin.cuda, alone=vain) if pin.cuda else (),
        effects=found,
    )


def _torch_facts(context: UpdateContext, cuda: str, *, alone: bool) -> tuple[str, ...]:
    """Tell for which CUDA and which Pythons the indexes have a torch, and what its companions leave open."""
    row, tag = context.matrix.torch[context.inputs.sources_name][cuda], context.matrix.cuda[cuda].wheel_tag
    builds: list[str] = []
    for label, project in torch_indexes(context).items():
        files = project.of(row.torch, label)
        linux = {tag for file in files if file.is_wheel for tag in file.tags if "linux" in tag.platform}
        # Not the free-threaded ones, whose ABI is another than the interpreter's name.
        abis = {one.abi for one in linux if one.platform.endswith("x86_64") and one.interpreter == one.abi}
        if not abis:
            continue
        where = label
        if label is None:
            needs = context.needs("torch", files)
            where = f"CUDA {needs.cuda}" if not isinstance(needs, str) and needs.cuda else "package index"
        builds.append(f"{where}: {' '.join(sorted(abis, key=lambda one: int(one[3:])))}")
    said = [f"torch {row.torch} for {'; '.join(builds)}"] if builds else []
    for name in () if alone else COMPANIONS:
        version = getattr(row, name)
        project, local = context.torch(name, tag)
        needs = context.needs(name, project.of(version, local))
        if not isinstance(needs, str) and not any(one.name == "torch" for one in needs.requirements):
            said.append(f"{name} {version} does not say which torch it goes with")
    return tuple(said)


def _pythons(context: UpdateContext) -> list[OutdatedPin]:
    known = context.pythons()
    if isinstance(known, str):
        return [OutdatedPin(name="python", problem=known)]
    made_here = not context.inputs.sources.conda.channels
    found: list[OutdatedPin] = []
    minors = sorted({pair.python for pair in context.matrix.pairs}, key=Version)
    for minor in minors:
        patches = [one for one in known if one.release[:2] == Version(minor).release]
        note = "a new environment takes it"
        if made_here:
            note = f"in {python_source(context)}; what is newer is not looked up"
        found.append(
            OutdatedPin(
                name=f"python@{minor}", pinned=minor, newest=str(patches[0]) if patches else None, note=note
            )
        )
    if known and known[0].release[:2] > Version(minors[-1]).release:
        minor = ".".join(str(part) for part in known[0].release[:2])
        rows = [pin.cuda for pin in pins(context) if pin.cuda]
        offer = Upgrade(
            version=minor, effects=tuple(one for cuda in rows for one in _new_pair(context, cuda, minor))
        )
        note = f"`bump --to pair=CUDA/{minor}` adds a pair"
        found.append(OutdatedPin(name="python", newest=str(known[0]), note=note, offers=(offer,)))
    return found


def _new_pair(context: UpdateContext, cuda: str, python: str) -> list[CellImpact]:
    """Tell what becomes of a pair that the matrix has not, with the torch that is pinned or a newer one."""
    added = context.changed(new_pair(context, cuda, python))
    first = pair_effects(added, cuda, python)
    pin = next(one for one in pins(added) if one.cuda == cuda)
    for new in reversed(candidates(added, pin)):
        if any(one.state != "impossible" for one in first):
            break
        after = pair_effects(added.changed(new.changes), cuda, python)
        if any(one.state != "impossible" for one in after):
            needs = f"needs torch {new.version}, {pin.version} is pinned"
            return [one.model_copy(update={"why": (needs, *one.why)}) for one in after]
    return first


def new_pair(context: UpdateContext, cuda: str, python: str) -> dict[Path, Any]:
    """Return the change that adds a pair."""
    pairs = [pair.model_dump(by_alias=True) for pair in context.matrix.pairs]
    return {("pairs",): (*pairs, {"cuda": cuda, "python": python})}


def _cudas(context: UpdateContext) -> list[OutdatedPin]:
    known = cudas(context)
    rows = context.matrix.torch[context.inputs.sources_name]
    pinned = sorted({pair.cuda for pair in context.matrix.pairs if pair.cuda in rows} - {"cpu"}, key=Version)
    if isinstance(known, str):
        return [OutdatedPin(name="cuda", problem=known)]
    found: list[OutdatedPin] = []
    for cuda in pinned:
        newest = next((one for one in known if one.release[:2] == Version(cuda).release[:2]), None)
        gone = "" if Version(cuda) in known else f"{cuda} is no longer there"
        offers = (_new_cuda(context, newest, like=cuda),) if newest and newest > Version(cuda) else ()
        name, version_text = f"cuda@{cuda}", str(newest) if newest else None
        found.append(OutdatedPin(name=name, pinned=cuda, newest=version_text, note=gone, offers=offers))
    if pinned and known and known[0].release[:2] > Version(pinned[-1]).release[:2]:
        minors = {one.release[:2]: str(one) for one in reversed(known) if one > Version(pinned[0])}
        note = f"there are {', '.join(one for one in minors.values() if one not in pinned)}"
        found.append(
            OutdatedPin(name="cuda", newest=str(known[0]), note=note, offers=(_new_cuda(context, known[0]),))
        )
    return found


def cudas(context: UpdateContext) -> tuple[Version, ...] | str:
    """Return the CUDA versions that the sources have images or toolkits of, newest first, or why that is not known."""
    sources = context.inputs.sources
    if sources.images.tags:
        tags = context.index_cache.tags(sources.images.tags)
        if isinstance(tags, str):
            return tags
        names = (sources.images.devel, sources.images.runtime)
        wanted = [name.rpartition(":")[2] for name in names if "{cuda}" in name.rpartition(":")[2]]
        sets = [_versions_of(tags, template) for template in wanted]
        return tuple(sorted(set.intersection(*sets), reverse=True)) if sets else ()
    for cuda, toolkit in sources.toolkit.items():
        for line in map(Requirement, toolkit.wheels):
            if str(line.specifier) == f"=={cuda}":
                project = context.index_cache.project(line.name)
                three = {Version(".".join(map(str, one.release[:3]))) for one in project.versions()}
                return project.problem or tuple(sorted(three, reverse=True))  # 12.8.2.0 is CUDA 12.8.2
    return "the sources name no place that lists CUDA versions"


def _versions_of(tags: Iterable[str], template: str) -> set[Version]:
    pattern = re.escape(template).replace(re.escape("{cuda}"), f"({_NUMBERS.pattern})")
    return {Version(match[1]) for tag in tags if (match := re.fullmatch(pattern, tag))}


def _new_cuda(context: UpdateContext, version: Version, like: str | None = None) -> Upgrade:
    """Tell what a CUDA version that the matrix has not would need, and which of its pairs would be possible.

    `like` is the CUDA version whose wheels it takes: that of another patch.
    """
    cuda, rows = str(version), context.matrix.torch[context.inputs.sources_name]
    needs = f'needs rows for "{cuda}" in matrix.toml ([cuda], [torch], [archs]) and sources.toml ([toolkit])'
    if like:
        tag, torch = context.matrix.cuda[like].wheel_tag, Version(rows[like].torch)
    else:
        chosen = _torch_of_cuda(context, version)
        if isinstance(chosen, str):
            return Upgrade(version=cuda, facts=(chosen, needs))
        tag, torch = chosen
    row = rows[like] if like else next(reversed(rows.values()))
    found: list[tuple[CellImpact, TorchPins]] = []
    for python in dict.fromkeys(pair.python for pair in context.matrix.pairs if like in (None, pair.cuda)):
        added = context.changed(
            {
                ("cuda", cuda): {"wheel_tag": tag},
                ("torch", context.inputs.sources_name, cuda): row.model_dump(),
                ("pairs",): ({"cuda": cuda, "python": python},),
                ("schedule",): {},  # its phases are those of the pairs that are not looked at
            }
        )
        pin = next(one for one in pins(added) if one.cuda == cuda)
        after = added.changed(candidate(added, pin, torch).changes)
        used = after.matrix.torch[context.inputs.sources_name][cuda]
        found += [(one, used) for one in pair_effects(after, cuda, python)]
    return Upgrade(
        version=cuda,
        goes_with=next((_goes_with(used) for one, used in found if one.state != "impossible"), {}),
        facts=(f"with the {tag} wheels", needs),
        effects=tuple(one for one, _ in found),
    )


def _goes_with(row: TorchPins) -> dict[str, str]:
    return {name: getattr(row, name) for name in ("torch", *COMPANIONS)}


def _torch_of_cuda(context: UpdateContext, cuda: Version) -> tuple[str, Version] | str:
    """Find the wheels that go with a CUDA version: built for it or for an older minor of the same major."""
    if context.torch_index("cpu") is None:
        project = context.index_cache.project("torch")
        if project.problem:
            return project.problem
        oldest = min(Version(row.torch) for row in context.matrix.torch[context.inputs.sources_name].values())
        unread = ""
        for version in project.versions():
            needs = context.needs("torch", project.of(str(version))) if version >= oldest else WheelMetadata()
            if isinstance(needs, str):
                unread = unread or needs
                continue
            built = Version(needs.cuda or "0")
            if built.major == cuda.major and built.minor <= min(cuda.minor, 9):  # no tag has more digits
                return unread or (tag_of(str(built)), version)
        return unread or f"no torch from {oldest} on is built for CUDA {cuda.major}"
    tried: list[str] = []
    for minor in range(min(cuda.minor, 9), -1, -1):
        tag = tag_of(f"{cuda.major}.{minor}")
        project, local = context.torch("torch", tag)
        if project.problem and not project.absent:
            return project.problem
        if wheel_versions := project.versions(local):
            return tag, Version(wheel_versions[0].public)
        tried.append(tag)
    return f"there are no wheels of torch: {', '.join(tried)}"


def _tools(context: UpdateContext) -> list[OutdatedPin]:
    locked = requirements.pinned_versions(context.inputs.locks.tools())
    found: list[OutdatedPin] = []
    for name in TOOLS:
        project = context.index_cache.project(name)
        wheel_versions = project.versions()
        found.append(
            OutdatedPin(
                name=name,
                pinned=locked.get(name),
                newest=str(wheel_versions[0]) if wheel_versions else None,
                note="pinned in requirements/tools.in",
                problem=project.problem,
            )
        )
    return found


# -- told ----------------------------------------------------------------------------------------------------


def text(context: UpdateContext, found: Sequence[OutdatedPin]) -> str:
    """Return findings for people: a line for each pin, what newer versions would do below it, what was not read."""
    unread = [answer.trouble for answer in context.index_cache.unread()]
    width = max(len(one.name) for one in found)
    lines = [f"{'':{width}}  {'pinned':10} {'newest':10} bump takes"]
    for one in found:
        why = "" if one.problem in unread else f": {one.problem}"  # the last lines tell it
        takes = f"not known{why}" if one.problem else one.takes or "-"
        line = f"{one.name:{width}}  {one.pinned or '-':10} {one.newest or '?':10} {takes}"
        lines.append(f"{line}  ({one.note})" if one.note else line)
        for offer in one.offers:
            lines += [f"    {line}" for line in _offer_text(context, offer)]
    lines += [f"not read: {trouble}" for trouble in unread]
    return "\n".join(lines) + "\n"


def _offer_text(context: UpdateContext, offer: Upgrade) -> list[str]:
    goes = ", ".join(f"{name} {version}" for name, version in offer.goes_with.items())
    first = f"{offer.version}{f' with {goes}' if goes else ''}"
    if not offer.effects and not offer.facts:
        return [f"{first}: no cell changes"]
    return [first, *(f"  {line}" for line in (*offer.facts, *effects_text(context, offer.effects)))]


def effects_text(context: UpdateContext, found: Sequence[CellImpact]) -> list[str]:
    """Return effects for people, a line for each group of cells."""
    lines: list[str] = []
    for effect in found:
        ways: dict[str, list[str]] = {}
        for name, made in effect.extensions.items():
            ways.setdefault(made, []).append(name)
        parts = [*effect.why, *(f"{made}: {', '.join(names)}" for made, names in ways.items())]
        said = [shown_cells(context, effect.cells), effect.state]
        lines.append(": ".join([*said, "; ".join(parts)] if parts else said))
    return lines


def shown_cells(context: UpdateContext, ids: Sequence[str]) -> str:
    """Name cells of one pair shortly: `cu12.8.1-py3.13-*`, `cpu-py3.13-{devel,runtime}`."""
    pair = "-".join(ids[0].split("-")[:2])
    targets = [one.removeprefix(f"{pair}-") for one in ids]
    if len(targets) == len(context.matrix.targets):
        return f"{pair}-*"
    return f"{pair}-{targets[0]}" if len(targets) == 1 else f"{pair}-{{{','.join(targets)}}}"


def document(context: UpdateContext, found: Sequence[OutdatedPin]) -> str:
    """Return findings for programs: JSON with the fields of `Finding`, and what was not read."""
    unread = [{"address": one.address, "problem": one.problem} for one in context.index_cache.unread()]
    data = {
        "sources": context.inputs.sources_name,
        "findings": [one.model_dump(mode="json") for one in found],
        "unread": unread,
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
