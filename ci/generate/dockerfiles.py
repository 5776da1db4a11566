"""Write the Dockerfiles of all pairs: one for those that differ in arguments only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ci.config.matrix import Matrix
from ci.generate.arguments import Argument, NotAlikeError, list_arguments, merge_pairs
from ci.generate.dockerfile import compose, sources_of, write_stages
from ci.plan.plan import Plan

FOLDER = "dockerfiles"


@dataclass(frozen=True)
class PairFile:
    """The Dockerfile of a pair, and the build arguments that make it the pair's."""

    path: str
    arguments: Mapping[str, str]


@dataclass(frozen=True)
class Dockerfiles:
    """Files by their path, and the Dockerfile of each pair by the pair's id."""

    files: Mapping[str, str]
    pairs: Mapping[str, PairFile]


@dataclass(frozen=True)
class _Group:
    """Pairs that one Dockerfile builds, each as its plans, and the plans of all of them."""

    pairs: tuple[tuple[Plan, ...], ...]
    arguments: tuple[Argument, ...]
    plans: tuple[Plan, ...]


def write_dockerfiles(plans: Sequence[Plan], matrix: Matrix, known: Mapping[str, str]) -> Dockerfiles:
    """Write the Dockerfiles of pairs; files that several of them read are shared.

    `known` maps texts of files in the repository to their paths.
    """
    files: dict[str, str] = {}
    pairs: dict[str, PairFile] = {}
    for group in _group_pairs(plans, matrix):
        names = [plans[0].cell.pair_id for plans in group.pairs]
        for name, text in write_stages(group.plans, "", known).beside.items():
            path = f"{FOLDER}/{name}"
            if files.get(path, text) != text:
                path = f"{FOLDER}/{names[0]}/{name}"
            files[path] = text
            known = {**known, text: path}
        path = _choose_path(group, files)
        writer = write_stages(group.plans, FOLDER, known)
        used = [one for one in group.arguments if one.is_whole and one.name in writer.used]
        values = [{one.name: one.values[i] for one in used} for i in range(len(names))]
        about = _describe(group, names, values)
        files[path] = compose(path, group.plans, about, values[0], writer)
        pairs |= {name: PairFile(path, found) for name, found in zip(names, values, strict=True)}
    return Dockerfiles(files, pairs)


def _group_pairs(plans: Sequence[Plan], matrix: Matrix) -> list[_Group]:
    """Put each pair to the first others that differ from it in arguments only."""
    by_pair: dict[str, list[Plan]] = {}
    for plan in plans:
        by_pair.setdefault(plan.cell.pair_id, []).append(plan)
    groups: list[_Group] = []
    for own in by_pair.values():
        for i, group in enumerate(groups):
            try:
                groups[i] = _merge((*group.pairs, tuple(own)), matrix)
                break
            except NotAlikeError:
                continue
        else:
            groups.append(_merge((tuple(own),), matrix))
    return groups


def _merge(pairs: tuple[tuple[Plan, ...], ...], matrix: Matrix) -> _Group:
    arguments = list_arguments(pairs, matrix)
    return _Group(pairs, arguments, merge_pairs(pairs, arguments))


def _choose_path(group: _Group, taken: Mapping[str, str]) -> str:
    """Return `Dockerfile` for the first pairs with CUDA, `cpu.Dockerfile` for the first without, else by the pair."""
    cell = group.pairs[0][0].cell
    path = f"{FOLDER}/{'cpu.' if cell.cuda == 'cpu' else ''}Dockerfile"
    return path if path not in taken else f"{FOLDER}/{cell.pair_id}.Dockerfile"


def _describe(group: _Group, names: Sequence[str], values: Sequence[Mapping[str, str]]) -> list[str]:
    """Say which pairs a Dockerfile builds, and by which arguments."""
    sources = sources_of(group.plans)
    if len(names) == 1:
        return [f"{names[0]} from the `{sources}` sources."]
    lines = [f"{names[0]} from the `{sources}` sources; other pairs of CUDA and Python by build arguments:"]
    for name, found in zip(names[1:], values[1:], strict=True):
        other = [f"--build-arg {key}={value}" for key, value in found.items() if value != values[0][key]]
        lines.append(f"  {name}: {' '.join(other)}")
    return lines
