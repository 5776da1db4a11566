"""Look up CUDA versions, and what one that is not in the matrix would need."""

import re
from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.version import Version

from ci.updates.feasibility import COMPANIONS, UpdateContext, cuda_tag
from ci.updates.impacts import find_pair_impacts
from ci.updates.model import CellImpact, Upgrade
from ci.updates.pins import make_candidate, torch_pin

_CUDA_VERSION = r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}"
_MAX_MINOR = 9  # wheel tags have one digit for CUDA's minor version: cu130


def list_cuda_versions(context: UpdateContext) -> tuple[Version, ...] | str:
    """List the CUDA versions of the sources, newest first, or why they are unknown."""
    sources = context.inputs.sources
    if sources.images.tags:
        tags = context.index_cache.tags(sources.images.tags)
        if isinstance(tags, str):
            return tags
        templates = (image.rpartition(":")[2] for image in (sources.images.devel, sources.images.runtime))
        versions = [_match_tags(tags, template) for template in templates if "{cuda}" in template]
        return tuple(sorted(set.intersection(*versions), reverse=True)) if versions else ()
    for cuda, toolkit in sources.toolkit.items():
        for requirement in map(Requirement, toolkit.wheels):
            if str(requirement.specifier) == f"=={cuda}":
                project = context.index_cache.project(requirement.name)
                # The package 12.8.2.0 has CUDA 12.8.2.
                released = {Version(".".join(map(str, one.release[:3]))) for one in project.versions()}
                return project.problem or tuple(sorted(released, reverse=True))
    return "the sources name no place that lists CUDA versions"


def _match_tags(tags: Iterable[str], template: str) -> set[Version]:
    pattern = re.escape(template).replace(re.escape("{cuda}"), f"({_CUDA_VERSION})")
    return {Version(match[1]) for tag in tags if (match := re.fullmatch(pattern, tag))}


def make_cuda_upgrade(context: UpdateContext, version: Version, like: str | None = None) -> Upgrade:
    """Describe what a CUDA version that is not in the matrix needs, and its possible pairs.

    `like` is another patch of it in the matrix, whose wheels it uses.
    """
    cuda = str(version)
    needs = f'needs rows for "{cuda}" in matrix.toml ([cuda], [torch], [archs]) and sources.toml ([toolkit])'
    if like:
        tag, torch = context.matrix.cuda[like].wheel_tag, Version(context.find_torch_pins[like].torch)
    else:
        newest = _find_torch(context, version)
        if isinstance(newest, str):
            return Upgrade(version=cuda, facts=(newest, needs))
        tag, torch = newest
    impacts: list[CellImpact] = []
    goes_with: dict[str, str] = {}
    for python in dict.fromkeys(pair.python for pair in context.matrix.pairs if like in (None, pair.cuda)):
        after = _with_cuda(context, cuda, python, tag, torch, like)
        found = find_pair_impacts(after, cuda, python)
        if not goes_with and any(impact.state != "impossible" for impact in found):
            goes_with = {name: getattr(after.find_torch_pins[cuda], name) for name in ("torch", *COMPANIONS)}
        impacts += found
    return Upgrade(
        version=cuda,
        goes_with=goes_with,
        facts=(f"with the {tag} wheels", needs),
        effects=tuple(impacts),
    )


def _with_cuda(
    context: UpdateContext, cuda: str, python: str, tag: str, torch: Version, like: str | None
) -> UpdateContext:
    """Return the context with a CUDA version and one pair of it, and with that torch."""
    rows = context.find_torch_pins
    row = rows[like] if like else next(reversed(rows.values()))
    added = context.with_changes(
        {
            ("cuda", cuda): {"wheel_tag": tag},
            ("torch", context.inputs.sources_name, cuda): row.model_dump(by_alias=True),
            ("pairs",): ({"cuda": cuda, "python": python},),
            ("schedule",): {},  # its phases are those of the pairs that are left out here
        }
    )
    return added.with_changes(make_candidate(added, torch_pin(added, cuda), torch).changes)


def _find_torch(context: UpdateContext, cuda: Version) -> tuple[str, Version] | str:
    """Find the newest torch for a CUDA version, and its tag.

    It is built for that minor version, or for an older one of the same major. Return why if there is none.
    """
    if context.torch_index("cpu") is None:
        return _find_torch_by_metadata(context, cuda)
    tried: list[str] = []
    for minor in range(min(cuda.minor, _MAX_MINOR), -1, -1):
        tag = cuda_tag(f"{cuda.major}.{minor}")
        project, local = context.torch_project("torch", tag)
        if project.problem and not project.not_found:
            return project.problem
        if versions := project.versions(local):
            return tag, Version(versions[0].public)
        tried.append(tag)
    return f"there are no wheels of torch: {', '.join(tried)}"


def _find_torch_by_metadata(context: UpdateContext, cuda: Version) -> tuple[str, Version] | str:
    """Find the newest torch by the CUDA runtime that it requires, where one index has all builds."""
    project = context.index_cache.project("torch")
    if project.problem:
        return project.problem
    oldest = min(Version(row.torch) for row in context.find_torch_pins.values())
    unread = ""
    for version in (one for one in project.versions() if one >= oldest):
        metadata = context.wheel_metadata("torch", project.files_for(str(version)))
        if isinstance(metadata, str):
            unread = unread or metadata
            continue
        built = Version(metadata.cuda or "0")
        if built.major == cuda.major and built.minor <= min(cuda.minor, _MAX_MINOR):
            return unread or (cuda_tag(str(built)), version)
    return unread or f"no torch from {oldest} on is built for CUDA {cuda.major}"
