"""Find newer versions of what the matrix pins, and what each would do to its cells."""

from collections.abc import Mapping
from typing import Any

from packaging.version import Version

from ci.plan import requirements
from ci.updates.cuda_versions import list_cuda_versions, make_cuda_upgrade
from ci.updates.feasibility import COMPANIONS, UpdateContext, python_source
from ci.updates.impacts import find_impacts, find_pair_impacts
from ci.updates.model import Candidate, CellImpact, OutdatedPin, Path, Pin, Upgrade
from ci.updates.pins import (
    find_best_upgrade,
    list_candidates,
    list_pins,
    list_torch_projects,
    list_versions,
    torch_pin,
)

# The packages that make environments, pinned beside the matrix in the lock of the tools.
TOOLS = ("conda-pack", "py-rattler", "uv")


def find_outdated(context: UpdateContext) -> tuple[OutdatedPin, ...]:
    """Look up everything that is pinned, whether or not there is a newer version."""
    return (
        *_find_cuda(context),
        *_find_python(context),
        *(_find_pin(context, pin) for pin in list_pins(context)),
        *_find_tools(context),
    )


def make_pair_change(context: UpdateContext, cuda: str, python: str) -> Mapping[Path, Any]:
    """Return the change of the matrix (for `with_changes`) that adds a pair."""
    pairs = [pair.model_dump(by_alias=True) for pair in context.matrix.pairs]
    return {("pairs",): (*pairs, {"cuda": cuda, "python": python})}


# -- pins ----------------------------------------------------------------------------------------------------


def _find_pin(context: UpdateContext, pin: Pin) -> OutdatedPin:
    versions = list_versions(context, pin)
    if isinstance(versions, str):
        return OutdatedPin(name=pin.name, pinned=pin.version, problem=versions)
    is_listed = Version(pin.version) in versions
    best = find_best_upgrade(context, pin)
    newest = list_candidates(context, pin)[:1]
    upgrades = {candidate.version: candidate for candidate in (*newest, *((best,) if best else ()))}
    return OutdatedPin(
        name=pin.name,
        pinned=pin.version,
        newest=str(versions[0]) if versions else None,
        takes=best.version if best else None,
        note="" if is_listed else f"{pin.version} is on no index of these sources, or yanked",
        offers=tuple(_make_upgrade(context, pin, candidate) for candidate in upgrades.values()),
    )


def _make_upgrade(context: UpdateContext, pin: Pin, candidate: Candidate) -> Upgrade:
    after = context.with_changes(candidate.changes)
    impacts = find_impacts(context, after, cuda=pin.cuda)
    is_impossible = bool(impacts) and all(impact.state == "impossible" for impact in impacts)
    return Upgrade(
        version=candidate.version,
        goes_with={} if is_impossible else candidate.goes_with,
        facts=_torch_facts(after, pin.cuda, companions=not is_impossible) if pin.cuda else (),
        effects=impacts,
    )


def _torch_facts(context: UpdateContext, cuda: str, *, companions: bool) -> tuple[str, ...]:
    """List the builds of torch, and the companions that do not say which torch they need."""
    pins, tag = context.find_torch_pins[cuda], context.matrix.cuda[cuda].wheel_tag
    builds = _torch_builds(context, pins.torch)
    facts = [f"torch {pins.torch} for {'; '.join(builds)}"] if builds else []
    for name in COMPANIONS if companions else ():
        version = getattr(pins, name)
        project, local = context.torch_project(name, tag)
        metadata = context.wheel_metadata(name, project.files_for(version, local))
        if not isinstance(metadata, str) and not any(one.name == "torch" for one in metadata.requirements):
            facts.append(f"{name} {version} does not say which torch it goes with")
    if companions and context.matrix.has_video and pins.torchcodec:
        facts.append(
            f"torchcodec {pins.torchcodec} does not say which torch it goes with: its README has a table"
        )
    return tuple(facts)


def _torch_builds(context: UpdateContext, torch: str) -> list[str]:
    """List the x86-64 Linux builds of a torch by index: `cu130: cp313 cp314`."""
    builds: list[str] = []
    for label, project in list_torch_projects(context).items():
        files = project.files_for(torch, label)
        tags = {tag for file in files if file.is_wheel for tag in file.tags if "linux" in tag.platform}
        # The ABI of a free-threaded build is not the interpreter's name.
        abis = {tag.abi for tag in tags if tag.platform.endswith("x86_64") and tag.interpreter == tag.abi}
        if not abis:
            continue
        source = label
        if label is None:
            metadata = context.wheel_metadata("torch", files)
            known = not isinstance(metadata, str) and metadata.cuda
            source = f"CUDA {known}" if known else "package index"
        builds.append(f"{source}: {' '.join(sorted(abis, key=_abi_order))}")
    return builds


def _abi_order(abi: str) -> tuple[int, str]:
    minor = abi.removeprefix("cp3")
    return int(minor) if minor.isascii() and minor.isdigit() and len(minor) < 5 else 0, abi


# -- CUDA ----------------------------------------------------------------------------------------------------


def _find_cuda(context: UpdateContext) -> list[OutdatedPin]:
    known = list_cuda_versions(context)
    in_use = {pair.cuda for pair in context.matrix.pairs if pair.cuda in context.find_torch_pins}
    pinned = sorted(in_use - {"cpu"}, key=Version)
    if isinstance(known, str):
        return [OutdatedPin(name="cuda", problem=known)]
    outdated = [_find_cuda_patch(context, cuda, known) for cuda in pinned]
    if pinned and known and known[0].release[:2] > Version(pinned[-1]).release[:2]:
        minors = {
            version.release[:2]: str(version) for version in reversed(known) if version > Version(pinned[0])
        }
        outdated.append(
            OutdatedPin(
                name="cuda",
                newest=str(known[0]),
                note=f"there are {', '.join(version for version in minors.values() if version not in pinned)}",
                offers=(make_cuda_upgrade(context, known[0]),),
            )
        )
    return outdated


def _find_cuda_patch(context: UpdateContext, cuda: str, known: tuple[Version, ...]) -> OutdatedPin:
    newest = next((one for one in known if one.release[:2] == Version(cuda).release[:2]), None)
    is_newer = newest is not None and newest > Version(cuda)
    return OutdatedPin(
        name=f"cuda@{cuda}",
        pinned=cuda,
        newest=str(newest) if newest else None,
        note="" if Version(cuda) in known else f"{cuda} is no longer there",
        offers=(make_cuda_upgrade(context, newest, like=cuda),) if newest and is_newer else (),
    )


# -- Python --------------------------------------------------------------------------------------------------


def _find_python(context: UpdateContext) -> list[OutdatedPin]:
    releases = context.python_releases()
    if isinstance(releases, str):
        return [OutdatedPin(name="python", problem=releases)]
    minors = sorted({pair.python for pair in context.matrix.pairs}, key=Version)
    outdated = [_find_python_patch(context, minor, releases) for minor in minors]
    if releases and releases[0].release[:2] > Version(minors[-1]).release:
        minor = ".".join(str(part) for part in releases[0].release[:2])
        impacts = [
            impact
            for pin in list_pins(context)
            if pin.cuda
            for impact in _find_new_pair_impacts(context, pin.cuda, minor)
        ]
        outdated.append(
            OutdatedPin(
                name="python",
                newest=str(releases[0]),
                note=f"`bump --to pair=CUDA/{minor}` adds a pair",
                offers=(Upgrade(version=minor, effects=tuple(impacts)),),
            )
        )
    return outdated


def _find_python_patch(context: UpdateContext, minor: str, releases: tuple[Version, ...]) -> OutdatedPin:
    newest = next((one for one in releases if one.release[:2] == Version(minor).release), None)
    note = "a new environment takes it"
    if not context.inputs.sources.conda.channels:
        note = f"in {python_source(context)}; what is newer is not looked up"
    return OutdatedPin(
        name=f"python@{minor}", pinned=minor, newest=str(newest) if newest else None, note=note
    )


def _find_new_pair_impacts(context: UpdateContext, cuda: str, python: str) -> list[CellImpact]:
    """Group the cells of a pair that is not in the matrix by their obstacles.

    If the pinned torch makes all of them impossible, the oldest newer torch that does not is used.
    """
    added = context.with_changes(make_pair_change(context, cuda, python))
    pinned_impacts = find_pair_impacts(added, cuda, python)
    if any(impact.state != "impossible" for impact in pinned_impacts):
        return pinned_impacts
    pin = torch_pin(added, cuda)
    for candidate in reversed(list_candidates(added, pin)):
        impacts = find_pair_impacts(added.with_changes(candidate.changes), cuda, python)
        if any(impact.state != "impossible" for impact in impacts):
            why = f"needs torch {candidate.version}, {pin.version} is pinned"
            return [impact.model_copy(update={"why": (why, *impact.why)}) for impact in impacts]
    return pinned_impacts


# -- tools ---------------------------------------------------------------------------------------------------


def _find_tools(context: UpdateContext) -> list[OutdatedPin]:
    locked = requirements.pinned_versions(context.inputs.locks.tools())
    outdated: list[OutdatedPin] = []
    for name in TOOLS:
        project = context.index_cache.project(name)
        versions = project.versions()
        outdated.append(
            OutdatedPin(
                name=name,
                pinned=locked.get(name),
                newest=str(versions[0]) if versions else None,
                note="pinned in requirements/tools.in",
                problem=project.problem,
            )
        )
    return outdated
