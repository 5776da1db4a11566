"""Run a sweep over a selection of cells: plans, builds, records, webhook and report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import dagger

from ci.choices import MAX_CELLS, MAX_DISK_FLOOR, PLAN_FORMATS
from ci.config.matrix import Cell
from ci.history.records import BuildRecord, History
from ci.report.model import make_report
from ci.report.terminal import failure_line, render_terminal
from ci.session.clock import utc_now
from ci.session.history import KnownHistory, known_attempts, load_history, open_store
from ci.session.history_store import HistoryStore
from ci.session.machine import Machine
from ci.session.session import Session
from ci.sweep import preview
from ci.sweep.capacity import cells_at_once
from ci.sweep.executor import DaggerExecutor
from ci.sweep.notify import Webhook
from ci.sweep.publish import Publisher
from ci.sweep.scheduler import Limits, sweep
from ci.util.errors import SweepError, UserError, require_choice
from ci.util.units import GB


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """What a caller chooses about a run; `limit` is cells at once (None: what fits), the floor is in GB."""

    limit: int | None
    disk_floor: float
    fail_fast: bool
    verified: bool

    def __post_init__(self) -> None:
        if self.limit is not None and not 1 <= self.limit <= MAX_CELLS:
            raise UserError(f"bad limit {self.limit}; accepted: 1 to {MAX_CELLS} cells at once")
        if not 0 <= self.disk_floor <= MAX_DISK_FLOOR:
            raise UserError(f"bad disk floor {self.disk_floor:g}; accepted: 0 to {MAX_DISK_FLOOR} GB")


async def build_cells(
    session: Session,
    cells: Sequence[Cell],
    options: SweepOptions,
    publisher: Publisher | None,
    store: HistoryStore,
    known: KnownHistory,
) -> tuple[BuildRecord, ...]:
    """Build cells; return the last record of each, in their order."""
    plans = await session.plans(cells)
    executor = DaggerExecutor(session, store, known, verified=options.verified, publisher=publisher)
    async with store.live():
        return await sweep(
            plans,
            executor,
            _limits(session, options, known.machine),
            run=store.run,
            sources=session.inputs.sources_name,
            known=known_attempts(session, known.history),
        )


def _limits(session: Session, options: SweepOptions, machine: Machine) -> Limits:
    floor = int(options.disk_floor * GB)
    fitting = cells_at_once(machine, session.matrix.limits.job_gb, floor)
    return Limits(
        cells=options.limit or fitting,
        disk_floor=floor,
        jobs=session.context.jobs or machine.cores,
        fail_fast=options.fail_fast,
    )


async def preview_plans(session: Session, cells: Sequence[Cell], form: str, given: dagger.File | None) -> str:
    """Tell what a selection of cells would do, in one of the forms."""
    require_choice("plan format", form, PLAN_FORMATS)
    plans = await session.plans(cells)
    if form == "github":
        return json.dumps(preview.github(plans))
    history = (await load_history(open_store(session), given)).history
    found = preview.preview(plans, preview.left_out(session.matrix, cells), history)
    return preview.text(found) if form == "text" else preview.document(found)


async def run_sweep(
    session: Session,
    cells: Sequence[Cell],
    options: SweepOptions,
    publisher: Publisher | None,
    given: dagger.File | None,
    hook: Webhook,
) -> str:
    """Build cells, tell the webhook, and return the report.

    Raises:
        SweepError: a cell failed; the message is the report, with a line for each cell that did.
    """
    if publisher and not options.verified:
        raise UserError("an image is not published unverified: leave out --publish or --no-verify")
    if not cells:
        return "no cell to build\n"
    store = open_store(session)
    known = await load_history(store, given)
    before = known.history
    records = await build_cells(session, cells, options, publisher, store, known)
    told = await hook.post_news(before, records)
    # What this run came to: a cell that it left out is not shown as the run before left it.
    text = render_terminal(
        make_report(
            History(records, before.problems), session.image_names(cells), now=utc_now(), live=known.live
        )
    )
    text += "".join(f"{line}\n" for line in (*debug_hints(session, cells, records), told) if line)
    if any(record.status == "failed" for record in records):
        raise SweepError(text)
    return text


def debug_hints(session: Session, cells: Sequence[Cell], records: Sequence[BuildRecord]) -> list[str]:
    """Return for each cell in which a command failed the call that opens a terminal before that command."""
    failures = ((cell, record.failure) for cell, record in zip(cells, records, strict=True))
    return [
        f"{cell.id}: to look around where it failed: {session.call('debug', cell, 'terminal')}"
        for cell, failure in failures
        if failure and (failure.exit_code is not None or failure.kind == "verification")
    ]


async def publish_cell(session: Session, cell: Cell, publisher: Publisher) -> list[str]:
    """Build, verify and publish one cell, and return the references.

    Raises:
        SweepError: it failed; the message is the line that says why.
    """
    store = open_store(session)
    known = await load_history(store, None)
    options = SweepOptions(limit=1, disk_floor=0.0, fail_fast=False, verified=True)
    records = await build_cells(session, [cell], options, publisher, store, known)
    if records[0].status == "failed":
        report = make_report(History(records), session.image_names([cell]), now=utc_now(), live=known.live)
        raise SweepError("\n".join(failure_line(row) for row in report.rows))
    return list(records[0].published)
