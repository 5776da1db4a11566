"""Run a sweep: plan and build cells, post news to the webhook, and return the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import dagger

from ci.choices import MAX_CELLS, MAX_DISK_FLOOR, PLAN_FORMATS, VERIFY_MODES
from ci.config.matrix import Cell
from ci.history.history import History
from ci.history.records import BuildRecord
from ci.report.model import make_report
from ci.report.terminal import failure_line, render_terminal
from ci.session.clock import utc_now
from ci.session.history import KnownHistory, known_attempts, load_history, open_store
from ci.session.history_store import HistoryStore
from ci.session.log import say
from ci.session.machine import Machine
from ci.session.session import Session
from ci.sweep.announce import CellLog, announce_build
from ci.sweep.capacity import cells_at_once
from ci.sweep.executor import DaggerExecutor
from ci.sweep.notify import Webhook
from ci.sweep.preview import excluded_cells, github_matrix, preview, render_json, render_text
from ci.sweep.publish import Publisher, PublishOptions, open_publisher
from ci.sweep.scheduler import SweepLimits, sweep
from ci.util.errors import SweepError, UserError, require_choice
from ci.util.units import GB


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options of a sweep; `limit` is cells at once (by default as many as fit), the floor in GB.

    `verify` says which checks run, see `ci.args.Verify`.

    Raises:
        UserError: a number is out of range, a choice is unknown, or the options contradict each other.
    """

    limit: int | None
    disk_floor: float
    fail_fast: bool
    verify: str = "once"
    publish: bool = False

    def __post_init__(self) -> None:
        require_choice("choice of checks", self.verify, VERIFY_MODES)
        if self.limit is not None and not 1 <= self.limit <= MAX_CELLS:
            raise UserError(f"bad limit {self.limit}; accepted: 1 to {MAX_CELLS} cells at once")
        if not 0 <= self.disk_floor <= MAX_DISK_FLOOR:
            raise UserError(f"bad disk floor {self.disk_floor:g}; accepted: 0 to {MAX_DISK_FLOOR} GB")
        if self.publish and self.verify == "none":
            raise UserError("an image is not published unverified: leave out --publish or --verify none")


async def build_cells(
    session: Session,
    cells: Sequence[Cell],
    options: SweepOptions,
    publisher: Publisher | None,
    store: HistoryStore,
    known: KnownHistory,
) -> tuple[BuildRecord, ...]:
    """Build cells and return the last record of each, in the order of the cells."""
    for line in publisher.describe_anonymous() if publisher else ():
        say(line)
    plans = await session.plans(cells)
    log = CellLog(announce_build(plans, known, finishes=True))
    executor = DaggerExecutor(
        session, store, known, plans, verify=options.verify, publisher=publisher, log=log
    )
    async with store.live():
        return await sweep(
            plans,
            executor,
            _sweep_limits(session, options, known.machine),
            run=store.run,
            sources=session.inputs.sources_name,
            known=known_attempts(session, known.history),
        )


def _sweep_limits(session: Session, options: SweepOptions, machine: Machine) -> SweepLimits:
    floor = int(options.disk_floor * GB)
    return SweepLimits(
        cells=options.limit or cells_at_once(machine, session.matrix.limits.largest_job_gb, floor),
        disk_floor=floor,
        jobs=session.context.jobs or machine.cores,
        fail_fast=options.fail_fast,
    )


async def preview_plans(
    session: Session, cells: Sequence[Cell], form: str, history_file: dagger.File | None
) -> str:
    """Preview a sweep as text, as JSON, or as the matrix of a GitHub Actions job."""
    require_choice("plan format", form, PLAN_FORMATS)
    plans = await session.plans(cells)
    if form == "github":
        return json.dumps(github_matrix(plans))
    history = (await load_history(open_store(session), history_file)).history
    result = preview(plans, excluded_cells(session.matrix, cells), history)
    return render_text(result) if form == "text" else render_json(result)


async def run_sweep(
    session: Session,
    cells: Sequence[Cell],
    options: SweepOptions,
    publishing: PublishOptions,
    history_file: dagger.File | None,
    webhook: Webhook,
) -> str:
    """Build cells, post news to the webhook, and return the report.

    Raises:
        SweepError: a cell failed; the message is the report.
        UserError: an option of publishing is wrong.
    """
    publisher = await open_publisher(session.matrix.image.name, publishing)
    if not cells:
        return "no cell to build\n"
    store = open_store(session)
    known = await load_history(store, history_file)
    records = await build_cells(session, cells, options, publisher if options.publish else None, store, known)
    webhook_line = await webhook.post_news(known.history, records)
    # Of this run only: a cell that was not started must not appear with its result of an earlier run.
    history = History(records, known.history.problems)
    text = render_terminal(make_report(history, session.image_names(cells), now=utc_now(), live=known.live))
    text += "".join(f"{line}\n" for line in (*debug_hints(session, cells, records), webhook_line) if line)
    if any(record.status == "failed" for record in records):
        raise SweepError(text)
    return text


def debug_hints(session: Session, cells: Sequence[Cell], records: Sequence[BuildRecord]) -> list[str]:
    """Return the call of `debug` for each cell in which a command or a check failed."""
    failures = ((cell, record.failure) for cell, record in zip(cells, records, strict=True))
    return [
        f"{cell.id}: to look around where it failed: {session.command_line('debug', cell, 'terminal')}"
        for cell, failure in failures
        if failure and (failure.exit_code is not None or failure.kind == "verification")
    ]


async def publish_cell(session: Session, cell: Cell, publishing: PublishOptions) -> list[str]:
    """Build, verify and publish one cell, and return the references of the image.

    Raises:
        SweepError: the cell failed; the message is its failure in one line.
    """
    publisher = await open_publisher(session.matrix.image.name, publishing)
    store = open_store(session)
    known = await load_history(store, None)
    options = SweepOptions(limit=1, disk_floor=0.0, fail_fast=False, publish=True)
    records = await build_cells(session, [cell], options, publisher, store, known)
    if records[0].status == "failed":
        report = make_report(History(records), session.image_names([cell]), now=utc_now(), live=known.live)
        raise SweepError("\n".join(failure_line(row) for row in report.rows))
    return list(records[0].published)
