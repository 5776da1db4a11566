"""Preview a sweep: its stages, which cells share them, and earlier times and sizes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ci.config.matrix import Cell, Matrix
from ci.history.history import History
from ci.history.records import BuildRecord, unique_size
from ci.plan.plan import Plan
from ci.util.errors import one_line
from ci.util.units import format_gb


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePreview:
    """One stage of a cell: the earlier cell that shares it, and its longest build in seconds."""

    name: str
    digest: str
    reason: str
    shared_with: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPreview:
    """One cell: its stages and notes, and its last build in the records (size in bytes)."""

    cell: str
    plan: str
    stages: tuple[StagePreview, ...]
    notes: tuple[str, ...]
    last_status: str | None
    last_size: int | None
    built_as_planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedCell:
    """A cell of the selected pairs that the matrix excludes, and the reason."""

    cell: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPreview:
    """A preview of the selected cells.

    `stages` counts different stages, `shared` further uses of them, and `unknown` stages that no record has a time
    of. `seconds` and the sizes (bytes) are from records, or None if there are none; `size` counts a shared layer in
    each image, `unique_size` once.
    """

    cells: tuple[CellPreview, ...]
    excluded: tuple[ExcludedCell, ...]
    stages: int
    shared: int
    unknown: int
    seconds: float | None
    size: int | None
    unique_size: int | None


def preview(plans: Sequence[Plan], excluded: Mapping[Cell, str], history: History) -> PlanPreview:
    """Preview the sweep of some plans.

    A stage counts once, for the first cell that needs it. Times are those of earlier builds of the same stage; for
    stages without one, nothing is guessed.
    """
    seconds = history.stage_seconds()
    stages: dict[str, StagePreview] = {}  # by digest, as cells after the first one show it
    cells: list[CellPreview] = []
    images: list[BuildRecord] = []
    for plan in plans:
        own = _preview_stages(plan, stages, seconds)
        last, good = history.latest(plan.id), history.last_good(plan.id)
        images += [good] if good and good.size is not None else []
        cells.append(
            CellPreview(
                cell=plan.id,
                plan=plan.digest,
                stages=own,
                notes=tuple(map(one_line, plan.notes)),
                last_status=last.status if last else None,
                last_size=good.size if good else None,
                built_as_planned=good is not None and good.plan == plan.digest,
            )
        )
    times = [seconds[digest] for digest in stages if digest in seconds]
    return PlanPreview(
        cells=tuple(cells),
        excluded=tuple(ExcludedCell(cell=cell.id, reason=reason) for cell, reason in excluded.items()),
        stages=len(stages),
        shared=sum(len(plan.stages) for plan in plans) - len(stages),
        unknown=len(stages) - len(times),
        seconds=round(sum(times), 1) if times else None,
        size=sum(image.size or 0 for image in images) if images else None,
        unique_size=unique_size(images) if images else None,
    )


def _preview_stages(
    plan: Plan, shared: dict[str, StagePreview], seconds: Mapping[str, float]
) -> tuple[StagePreview, ...]:
    """Return the stages of a plan, and add those to `shared` that no earlier plan has."""
    stages: list[StagePreview] = []
    for stage in plan.stages:
        known = shared.get(stage.digest)
        if known is None:
            known = StagePreview(
                name=stage.name,
                digest=stage.digest,
                reason=stage.reason,
                shared_with=None,
                seconds=seconds.get(stage.digest),
            )
            shared[stage.digest] = replace(known, shared_with=plan.id)
        stages.append(known)
    return tuple(stages)


def excluded_cells(matrix: Matrix, cells: Sequence[Cell]) -> dict[Cell, str]:
    """Return the cells that the matrix excludes from the pairs of some cells, with the reasons."""
    pairs = {cell.pair_id for cell in cells}
    reasons = ((cell, matrix.exclusion_reason(cell)) for cell in matrix.cells if cell.pair_id in pairs)
    return {cell: reason for cell, reason in reasons if reason}


def render_text(result: PlanPreview) -> str:
    """Return a preview for people: a built stage with its reason, a shared one by name."""
    if not result.cells and not result.excluded:
        return "no cell to build\n"
    lines: list[str] = []
    printed_notes: set[str] = set()
    for cell in result.cells:
        lines += _cell_lines(cell)
        lines += [f"  note: {note}" for note in cell.notes if note not in printed_notes]
        printed_notes |= set(cell.notes)
    lines += [f"left out: {item.cell}: {item.reason}" for item in result.excluded]
    if len(result.cells) > 1 or result.excluded:
        lines.append(
            f"{len(result.cells)} cells: {result.stages} stages to build, "
            f"{result.shared} times shared with another cell"
        )
    if result.seconds is not None:
        unknown = f", {result.unknown} stages without a record" if result.unknown else ""
        lines.append(
            f"by the records: {result.seconds / 60:.0f} min, each stage as long as it took at most{unknown}"
        )
    if result.size is not None and result.unique_size is not None:
        lines.append(
            f"by the records: {format_gb(result.size)} of images, {format_gb(result.unique_size)}"
            " with shared layers counted once"
        )
    return "\n".join(lines) + "\n"


def _cell_lines(cell: CellPreview) -> list[str]:
    last = f"; last build: {cell.last_status}" if cell.last_status else ""
    unchanged = ", as planned now" if cell.built_as_planned else ""
    lines = [f"{cell.cell}  plan {cell.plan[:12]}{last}{unchanged}"]
    width = max(len(stage.name) for stage in cell.stages)
    for stage in cell.stages:
        if stage.shared_with is None:
            took = f"  ({stage.seconds:.0f} s before)" if stage.seconds is not None else ""
            lines.append(f"  {stage.name:{width}}  {stage.digest[:12]}  {stage.reason}{took}")
    shared = [stage for stage in cell.stages if stage.shared_with is not None]
    for owner in dict.fromkeys(stage.shared_with for stage in shared):
        names = ", ".join(stage.name for stage in shared if stage.shared_with == owner)
        lines.append(f"  shared with {owner}: {names}")
    return lines


def render_json(result: PlanPreview) -> str:
    """Return a preview as JSON: the fields of `PlanPreview`, with `left_out` for `excluded`."""
    data = {{"excluded": "left_out"}.get(key, key): value for key, value in asdict(result).items()}
    return json.dumps(data, indent=2, ensure_ascii=False)


def github_matrix(plans: Sequence[Plan]) -> dict[str, list[dict[str, str]]]:
    """Return cells as GitHub's `strategy.matrix`: `{"include": [{"cell": …, "cuda": …}, …]}`."""
    return {
        "include": [
            {
                "cell": plan.id,
                "cuda": plan.cell.cuda,
                "python": plan.cell.python,
                "target": plan.cell.target,
            }
            for plan in plans
        ]
    }
