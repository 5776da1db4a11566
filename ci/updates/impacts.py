"""Compare a matrix before and after a change: the state of its cells, and what breaks."""

from collections.abc import Iterable, Sequence

from ci.config.matrix import Cell
from ci.updates.feasibility import Obstacle, UpdateContext
from ci.updates.model import CellImpact, State


def find_regressions(before: UpdateContext, after: UpdateContext) -> tuple[str, ...]:
    """List what a change breaks: obstacles that were not there before, extensions that are lost."""
    regressions: dict[str, None] = {}
    for pair in after.matrix.pairs:
        old, new = (context.check_pair(pair.cuda, pair.python) for context in (before, after))
        cells = _pair_cells(after, pair.cuda, pair.python)
        for cell in cells:
            target = after.matrix.targets[cell.target]
            known = old.obstacles_for(target)
            for obstacle in new.obstacles_for(target):
                if obstacle not in known:
                    regressions[f"{cell.pair_id}: {obstacle.why}"] = None
        for name, state in new.extensions.items():
            if cells and state == "left out" and old.extensions.get(name) in ("wheel", "compile"):
                regressions[f"{cells[0].pair_id}: {name} would be left out"] = None
    return tuple(regressions)


def find_impacts(before: UpdateContext, after: UpdateContext, *, cuda: str = "") -> tuple[CellImpact, ...]:
    """List what becomes of the cells that a change affects, or of all cells of one CUDA version."""
    impacts: list[CellImpact] = []
    for pair in after.matrix.pairs:
        if cuda and pair.cuda != cuda:
            continue
        old, new = (context.check_pair(pair.cuda, pair.python) for context in (before, after))
        affected = [
            name
            for name, target in after.matrix.targets.items()
            if cuda
            or old.extensions != new.extensions
            or old.obstacles_for(target) != new.obstacles_for(target)
        ]
        impacts += find_pair_impacts(after, pair.cuda, pair.python, affected)
    return tuple(impacts)


def find_pair_impacts(
    context: UpdateContext, cuda: str, python: str, targets: Iterable[str] | None = None
) -> list[CellImpact]:
    """Group the cells of a pair, or those of some targets, by their obstacles."""
    feasibility = context.check_pair(cuda, python)
    selected = context.matrix.targets if targets is None else frozenset(targets)
    groups: dict[tuple[Obstacle, ...], list[str]] = {}
    for cell in _pair_cells(context, cuda, python):
        if cell.target in selected:
            obstacles = feasibility.obstacles_for(context.matrix.targets[cell.target])
            groups.setdefault(obstacles, []).append(cell.id)
    return [
        CellImpact(
            cells=tuple(ids),
            state=_combine_states(obstacles),
            why=tuple(dict.fromkeys(obstacle.why for obstacle in obstacles)),
            extensions=dict(feasibility.extensions) if _combine_states(obstacles) != "impossible" else {},
        )
        for obstacles, ids in groups.items()
    ]


def _pair_cells(context: UpdateContext, cuda: str, python: str) -> list[Cell]:
    return [cell for cell in context.matrix.built if (cell.cuda, cell.python) == (cuda, python)]


def _combine_states(obstacles: Sequence[Obstacle]) -> State:
    states = {obstacle.state for obstacle in obstacles}
    return "impossible" if "impossible" in states else "unknown" if states else "possible"
