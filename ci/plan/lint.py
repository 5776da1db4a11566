"""Check without building that every image can be planned, and that the locks fit the matrix."""

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from ci.config.sources import Sources, read_sources
from ci.plan.inputs import Options, PlanInputs
from ci.plan.pair import find_torch_pins
from ci.plan.plan import Plan
from ci.plan.planner import Planner
from ci.plan.requirements import list_locked_stages, satisfies, write_requirements
from ci.util.errors import UserError, quote_value


def lint_matrix(inputs: PlanInputs) -> str:
    """Plan every image: each cell, for each variant, from all sources; indexes are not read.

    Raises:
        UserError: one of them cannot be planned.
    """
    matrix = inputs.matrix
    for exclude in matrix.excludes:
        if not any(fnmatchcase(cell.id, exclude.only) for cell in matrix.cells):
            raise UserError(f"matrix: [[excludes]] only = {quote_value(exclude.only)} matches no cell")
    count = sum(1 for _ in _plan_every_image(inputs))
    variants, sources = ", ".join(matrix.variants), ", ".join(matrix.torch)
    return f"{count} plans: {len(inputs.matrix.built)} cells, variants {variants}, sources {sources}\n"


def lint_locks(inputs: PlanInputs) -> str:
    """Compare the locks with the matrix, for the sources that have any.

    Raises:
        UserError: a stage of a pair, or a toolkit, has no lock, or one that is not what is asked for.
    """
    folders = {path.split("/")[-3] for path in inputs.locks.paths_by_text().values()}
    right, wrong = 0, []
    for name in sorted(folders & set(inputs.matrix.torch)):
        for file, found, asked in _list_locks(inputs, name):
            if found and satisfies(found, asked):
                right += 1
            else:
                wrong.append(f"{name}/{file}.txt")
    if wrong:
        raise UserError(
            f"not what the matrix asks for, so write them anew by requirements/relock.py: {', '.join(wrong)}"
        )
    return f"{right} locks are what the matrix asks for\n"


def _list_locks(inputs: PlanInputs, name: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield the locks that some sources should have: the file name, its text, and the pins that it must satisfy."""
    sources = _read_sources(inputs, name)
    inputs = replace(inputs, sources_name=name)
    pairs = {cell.pair_id: cell for cell in inputs.matrix.built}
    for cuda in dict.fromkeys(cell.cuda for cell in pairs.values()):
        if cuda in sources.toolkit and (wheels := sources.toolkit[cuda].wheels):
            yield f"toolkit-{cuda}", inputs.locks.toolkit(name, cuda), "\n".join(wheels)
    for pair, cell in pairs.items():
        for stage in list_locked_stages(inputs.matrix):
            asked = write_requirements(stage, inputs.matrix, find_torch_pins(cell, inputs))
            yield f"{pair}/{stage}", inputs.locks.requirements(name, pair, stage), asked


def _read_sources(inputs: PlanInputs, name: str) -> Sources:
    return inputs.sources if name == inputs.sources_name else read_sources(name)


def _require_pythons(inputs: PlanInputs, name: str) -> None:
    """Require that the recipe of the channel, which some sources make, has every Python of the matrix."""
    known = inputs.locks.pythons()
    for python in dict.fromkeys(cell.python for cell in inputs.matrix.built):
        if not any(version.startswith(f"{python}.") for version in known):
            raise UserError(
                f"the {name} sources have no CPython {python}: ci/locks/channel.json has {', '.join(known)}"
            )


def _plan_every_image(inputs: PlanInputs) -> Iterator[Plan]:
    for name in inputs.matrix.torch:
        sources = _read_sources(inputs, name)
        if not sources.conda.channels:
            _require_pythons(inputs, name)
        for variant in inputs.matrix.variants:
            planner = Planner(
                replace(inputs, sources_name=name, sources=sources), {}, Options(variant=variant)
            )
            yield from (planner.plan(cell) for cell in inputs.matrix.built)
