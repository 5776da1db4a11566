"""What a sweep would do, told before anything is built: stages, what cells share, what it may cost, what cannot be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ci.config.matrix import Cell, Matrix
from ci.history.records import BuildRecord, History, unique_size
from ci.plan.plan import Plan
from ci.util.errors import one_line
from ci.util.units import format_gb


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePreview:
    """One stage of a cell: the first cell that needs it, and the seconds that it took at most."""

    name: str
    digest: str
    reason: str
    shared_with: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPreview:
    """One cell: its stages, what the user should know, and its last image by the records (bytes, status)."""

    cell: str
    plan: str
    stages: tuple[StagePreview, ...]
    notes: tuple[str, ...]
    last_status: str | None
    last_size: int | None
    built_as_planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedCell:
    """A cell that the selection would have and nobody builds, and why."""

    cell: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPreview:
    """A selection of cells before it is built. `seconds` and sizes (bytes) are from records, None without any.

    `size` counts layers that images share each time, `unique_size` once.
    """

    cells: tuple[CellPreview, ...]
    left_out: tuple[ExcludedCell, ...]
    stages: int
    shared: int
    unknown: int
    seconds: float | None
    size: int | None
    unique_size: int | None


def preview(plans: Sequence[Plan], left_out: Mapping[Cell, str], history: History) -> PlanPreview:
    """Lay the plans of a selection side by side.

    A stage counts once, for the first cell that needs it. Times are those of earlier builds of the very same stage;
    how many have none is told in `unknown`, and nothing is guessed for them.
    """
    known = history.stage_seconds()
    first: dict[str, str] = {}
    uses = 0
    cells: list[CellPreview] = []
    images: list[BuildRecord] = []
    shared: dict[str, StagePreview] = {}  # of each digest, as cells after the first one have it
    for plan in plans:
        stages: list[StagePreview] = []
        for stage in plan.stages:
            uses += 1
            digest = stage.digest
            if digest in shared:
                stages.append(shared[digest])
                continue
            first[digest] = plan.id
            own = StagePreview(
                name=stage.name,
                digest=digest,
                reason=stage.reason,
                shared_with=None,
                seconds=known.get(digest),
            )
            shared[digest] = replace(own, shared_with=plan.id)
            stages.append(own)
        last, good = history.latest(plan.id), history.last_good(plan.id)
        images += [good] if good and good.size is not None else []
        cells.append(
            CellPreview(
                cell=plan.id,
                plan=plan.digest,
                stages=tuple(stages),
                notes=tuple(map(one_line, plan.notes)),
                last_status=last.status if last else None,
                last_size=good.size if good else None,
                built_as_planned=good is not None and good.plan == plan.digest,
            )
        )
    times = [known[digest] for digest in first if digest in known]
    return PlanPreview(
        cells=tuple(cells),
        left_out=tuple(ExcludedCell(cell=cell.id, reason=reason) for cell, reason in left_out.items()),
        stages=len(first),
        shared=uses - len(first),
        unknown=len(first) - len(times),
        seconds=round(sum(times), 1) if times else None,
        size=sum(image.size or 0 for image in images) if images else None,
        unique_size=unique_size(images) if images else None,
    )


def left_out(matrix: Matrix, pairs: Sequence[Cell]) -> dict[Cell, str]:
    """Return the cells of the selected pairs that the matrix excludes, with the reasons."""
    wanted = {cell.pair_id for cell in pairs}
    found = ((cell, matrix.exclusion_reason(cell)) for cell in matrix.cells if cell.pair_id in wanted)
    return {cell: reason for cell, reason in found if reason}


def text(found: PlanPreview) -> str:
    """Return a survey for people: each stage where it is built first, then only that it is shared."""
    if not found.cells and not found.left_out:
        return "no cell to build\n"
    lines: list[str] = []
    told: set[str] = set()
    for cell in found.cells:
        last = f"; last build: {cell.last_status}" if cell.last_status else ""
        unchanged = ", as planned now" if cell.built_as_planned else ""
        lines.append(f"{cell.cell}  plan {cell.plan[:12]}{last}{unchanged}")
        width = max(len(stage.name) for stage in cell.stages)
        own = [stage for stage in cell.stages if stage.shared_with is None]
        for stage in own:
            took = f"  ({stage.seconds:.0f} s before)" if stage.seconds is not None else ""
            lines.append(f"  {stage.name:{width}}  {stage.digest[:12]}  {stage.reason}{took}")
        shared = [stage for stage in cell.stages if stage.shared_with is not None]
        for owner in dict.fromkeys(stage.shared_with for stage in shared):
            names = ", ".join(stage.name for stage in shared if stage.shared_with == owner)
            lines.append(f"  shared with {owner}: {names}")
        lines += [f"  note: {note}" for note in cell.notes if note not in told]
        told |= set(cell.notes)
    lines += [f"left out: {item.cell}: {item.reason}" for item in found.left_out]
    if len(found.cells) > 1 or found.left_out:
        lines.append(
            f"{len(found.cells)} cells: {found.stages} stages to build, {found.shared} times shared with another cell"
        )
    if found.seconds is not None:
        blank = f", {found.unknown} stages without a record" if found.unknown else ""
        lines.append(
            f"by the records: {found.seconds / 60:.0f} min, each stage as long as it took at most{blank}"
        )
    if found.size is not None and found.unique_size is not None:
        lines.append(
            f"by the records: {format_gb(found.size)} of images, {format_gb(found.unique_size)}"
            " with shared layers counted once"
        )
    return "\n".join(lines) + "\n"


def document(found: PlanPreview) -> str:
    """Return a survey for programs: JSON with the fields of `Survey`."""
    return json.dumps(asdict(found), indent=2, ensure_ascii=False)


def github(plans: Sequence[Plan]) -> dict[str, list[dict[str, str]]]:
    """Return what GitHub Actions' `strategy.matrix` takes: `{"include": [{"cell": …, "cuda": …}, …]}`."""
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
