"""List the pins of the matrix and the versions they could have; choose the best upgrade."""

from collections.abc import Iterable

from packaging.version import Version

from ci.index.projects import Project
from ci.index.wheels import wheel_versions
from ci.plan.extensions import pyg_local_version
from ci.updates.feasibility import COMPANIONS, UpdateContext
from ci.updates.impacts import find_regressions
from ci.updates.model import Candidate, Path, Pin


def list_pins(context: UpdateContext) -> tuple[Pin, ...]:
    """List the pins of the matrix for the sources in use."""
    matrix, sources_name = context.matrix, context.inputs.sources_name
    pins = [
        Pin(
            name=f"torch@{cuda}",
            version=context.find_torch_pins[cuda].torch,
            path=("torch", sources_name, cuda, "torch"),
            cuda=cuda,
        )
        for cuda in dict.fromkeys(pair.cuda for pair in matrix.pairs)
        if cuda in context.find_torch_pins
    ]
    pins.append(
        Pin(name="torch-geometric", version=matrix.pyg.torch_geometric, path=("pyg", "torch-geometric"))
    )
    pins += [
        Pin(name=name, version=pin.version, path=("pyg", "extensions", name, "version"))
        for name, pin in matrix.pyg.extensions.items()
    ]
    if matrix.video and matrix.video.enabled:
        pins.append(Pin(name="av", version=matrix.video.av, path=("video", "av")))
    pins.append(Pin(name="ray", version=matrix.ray.version, path=("ray", "version")))
    pins.append(Pin(name="marimo", version=matrix.marimo.version, path=("marimo", "version")))
    return tuple(pins)


def torch_pin(context: UpdateContext, cuda: str) -> Pin:
    """Return the pin of torch for a CUDA version of the matrix."""
    return next(pin for pin in list_pins(context) if pin.cuda == cuda)


# -- versions ------------------------------------------------------------------------------------------------


def list_versions(context: UpdateContext, pin: Pin) -> tuple[Version, ...] | str:
    """List the versions that the indexes have for a pin, newest first, or why they are unknown."""
    if pin.cuda:
        versions: Iterable[Version] | str = _torch_versions(context, pin)
    elif pin.name in context.matrix.pyg.extensions:
        versions = _extension_versions(context, pin)
    else:
        project = context.index_cache.project(pin.name)
        versions = project.problem or project.versions()
    return versions if isinstance(versions, str) else tuple(sorted(set(versions), reverse=True))


def list_torch_projects(context: UpdateContext) -> dict[str | None, Project]:
    """Return the files of torch on every index in use, by local label.

    The key None is the package index, whose versions have no label.
    """
    tags = dict.fromkeys(context.matrix.cuda[pair.cuda].wheel_tag for pair in context.matrix.pairs)
    projects = {local: project for project, local in (context.torch_project("torch", tag) for tag in tags)}
    return {**projects, None: context.index_cache.project("torch")}


def _torch_versions(context: UpdateContext, pin: Pin) -> Iterable[Version] | str:
    """List the versions of torch on all indexes, including those not built for the pin's CUDA."""
    project, local = context.torch_project("torch", context.matrix.cuda[pin.cuda].wheel_tag)
    if project.problem:
        return project.problem
    versions = {*project.versions(local)}.union(
        *(other.versions(label) for label, other in list_torch_projects(context).items())
    )
    return {Version(version.public) for version in versions}


def _extension_versions(context: UpdateContext, pin: Pin) -> Iterable[Version] | str:
    """List the versions of a PyG extension: sources on the index, wheels for the pinned torches."""
    project = context.index_cache.project(pin.name)
    if project.problem and not project.not_found:
        return project.problem
    versions = set(project.versions()) if context.matrix.pyg.extensions[pin.name].sdist else set()
    for torch in (pin for pin in list_pins(context) if pin.cuda):
        tag = context.matrix.cuda[torch.cuda].wheel_tag
        page = context.pyg_page(torch.version, tag)
        if page and page.problem and not page.not_found:
            return page.problem
        if page:
            versions |= set(wheel_versions(page, pin.name, pyg_local_version(torch.version, tag)))
    return versions


# -- candidates ----------------------------------------------------------------------------------------------


def list_candidates(context: UpdateContext, pin: Pin) -> tuple[Candidate, ...]:
    """List the upgrades of a pin, newest first; for torch also newer companions alone."""
    versions = list_versions(context, pin)
    if isinstance(versions, str):
        return ()
    newer = [version for version in versions if version >= Version(pin.version)]
    candidates = (make_candidate(context, pin, version) for version in newer)
    return tuple(candidate for candidate in candidates if candidate.changes)


def find_best_upgrade(context: UpdateContext, pin: Pin) -> Candidate | None:
    """Return the newest upgrade that keeps every cell buildable; None if none does or is known."""
    return next(
        (
            candidate
            for candidate in list_candidates(context, pin)
            if not find_regressions(context, context.with_changes(candidate.changes))
        ),
        None,
    )


def make_candidate(context: UpdateContext, pin: Pin, version: Version) -> Candidate:
    """Make the candidate for a version of a pin; with torch, its companions change."""
    changes: dict[Path, str] = {} if version == Version(pin.version) else {pin.path: str(version)}
    goes_with: dict[str, str] = {}
    for name in COMPANIONS if pin.cuda else ():
        goes_with[name] = _pick_companion(context, pin, name, version)
        if goes_with[name] != _pinned_companion(context, pin, name):
            changes[(*pin.path[:-1], name)] = goes_with[name]
    return Candidate(version=str(version), changes=changes, goes_with=goes_with)


def _pick_companion(context: UpdateContext, pin: Pin, name: str, torch: Version) -> str:
    """Pick the release of a companion for a torch.

    The newest that requires this torch, else the newest without a requirement on torch, else the pinned one.
    """
    pinned = _pinned_companion(context, pin, name)
    project, local = context.torch_project(name, context.matrix.cuda[pin.cuda].wheel_tag)
    newer = torch >= Version(pin.version)
    pythons = [pair.python for pair in context.matrix.pairs if pair.cuda == pin.cuda]
    unconstrained = unread = ""
    for version in project.versions(local):
        if (Version(version.public) >= Version(pinned)) is not newer and version.public != pinned:
            continue
        files = project.files_for(version.public, local)
        if not all(any(file.fits(python, context.glibc) for file in files) for python in pythons):
            continue
        metadata = context.wheel_metadata(name, files)
        if isinstance(metadata, str):
            unread = unread or version.public  # the check of the pair reports why it is unknown
            continue
        required = metadata.requirements_on("torch", pythons[0])
        if required and all(one.specifier.contains(torch.public, prereleases=True) for one in required):
            return unread or version.public
        if not required and (not unconstrained or version.public == pinned):
            unconstrained = version.public
    return unconstrained or pinned


def _pinned_companion(context: UpdateContext, pin: Pin, name: str) -> str:
    return str(getattr(context.find_torch_pins[pin.cuda], name))
