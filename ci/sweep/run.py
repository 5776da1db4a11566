"""One run over a selection of cells: plans, sweep, records, webhook, and what the caller is told."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagger

from ci.config.matrix import Cell
from ci.history.records import BuildRecord, History, merged, read_history
from ci.plan.attempt import StageAttempt
from ci.report.html import html
from ci.report.json_report import document
from ci.report.junit import junit
from ci.report.markdown import markdown, replaced
from ci.report.model import Report, make_report
from ci.report.terminal import failure_line, terminal
from ci.session.history_store import HistoryStore
from ci.session.session import Session
from ci.stages.context import MIRROR
from ci.sweep import notify
from ci.sweep import preview as preview
from ci.sweep.capacity import Machine, cells_at_once
from ci.sweep.executor import DaggerExecutor, utc_now
from ci.sweep.publish import Publisher
from ci.sweep.scheduler import GB, Limits, sweep
from ci.util.errors import SweepError, UserError, require_choice

FORMATS = {
    "terminal": terminal,
    "markdown": markdown,
    "json": document,
    "junit": junit,
    "html": html,
}


PLAN_FORMATS = ("text", "json", "github")
MOST_CELLS = 64
MOST_GB = 1_000_000


@dataclass(frozen=True)
class Webhook:
    """Where news of a run go: an address, which is a secret, and the service that listens if it is the caller's."""

    address: dagger.Secret | None
    service: dagger.Service | None

    async def told(self, before: History, records: Sequence[BuildRecord]) -> str:
        """Tell the webhook what changed; return a line on how that went, empty when there was nothing to tell."""
        said = notify.news(before, records)
        if self.address is None or not said:
            return ""
        address = (await self.address.plaintext()).strip()
        if self.service:
            await self.service.start()
            address = address.replace(f"//{MIRROR}", f"//{await self.service.hostname()}", 1)
        trouble = await notify.post(address, said)
        return f"webhook: not told ({trouble})" if trouble else "webhook: told"


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """What a caller chooses about a run; `limit` is cells at once (None: what fits), the floor is in GB."""

    limit: int | None
    disk_floor: float
    fail_fast: bool
    verified: bool

    def __post_init__(self) -> None:
        if self.limit is not None and not 1 <= self.limit <= MOST_CELLS:
            raise UserError(f"bad limit {self.limit}; accepted: 1 to {MOST_CELLS} cells at once")
        if not 0 <= self.disk_floor <= MOST_GB:
            raise UserError(f"bad disk floor {self.disk_floor:g}; accepted: 0 to {MOST_GB} GB")


class Run:
    """A run, from its start to what it tells. Its id begins with the time: `2026-11-22T02:00:00Z-9f2c41`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.id = f"{utc_now()}-{secrets.token_hex(3)}"
        self.store = HistoryStore(session.matrix.image.name, session.probe_container, self.id)
        self.live: frozenset[str] = frozenset()
        self.machine: Machine | None = None  # as it was at `seen`, by the clock for durations
        self.seen = 0.0

    async def history(self, given: dagger.File | None) -> History:
        """Read what is known of earlier runs: the engine's own history, and a file that the caller brings.

        What the file adds is kept in the engine's history from then on.
        """
        own = await self._own()
        if given is None:
            return own
        brought = read_history(await given.contents(), await given.name())
        known = {record.line() for record in own.records}
        missing = [line for record in brought.records if (line := record.line()) not in known]
        missing += [f"{line}\n" for line in brought.newer if line not in own.newer]
        if missing:
            await self.store.append("".join(missing))
        return merged(own, brought)

    async def build(
        self, cells: Sequence[Cell], choices: SweepOptions, publisher: Publisher | None, before: History
    ) -> tuple[BuildRecord, ...]:
        """Build cells; return the last record of each, in their order."""
        if self.machine is None:
            raise RuntimeError("a run reads its history, and with it looks at its machine, before it builds")
        plans = await self.session.plans(cells)
        worker = DaggerExecutor(
            self.session,
            self.store,
            self.id,
            before=before,
            free_disk=self.machine.free_disk,
            seen=self.seen,
            verified=choices.verified,
            publisher=publisher,
        )
        limits = self._limits(choices, self.machine)
        async with self.store.live():
            return await sweep(
                plans,
                worker,
                limits,
                run=self.id,
                sources=self.session.inputs.sources_name,
                known=self.attempts(before),
            )

    def attempts(self, before: History) -> Mapping[str, StageAttempt]:
        """Return how each stage, by its digest, came out before."""
        known = before.attempts()
        if self.session.context.jobs:  # the caller's own number goes before one that an earlier run came to
            return {digest: replace(attempt, jobs=None) for digest, attempt in known.items()}
        return known

    async def _own(self) -> History:
        past = await self.store.read()
        self.live |= past.live
        self.machine, self.seen = past.machine, time.monotonic()
        return read_history(past.text, "the engine's history")

    def _limits(self, choices: SweepOptions, machine: Machine) -> Limits:
        floor = int(choices.disk_floor * GB)
        fitting = cells_at_once(machine, self.session.matrix.limits.job_gb, floor)
        return Limits(
            cells=choices.limit or fitting,
            disk_floor=floor,
            jobs=self.session.context.jobs or machine.cores,
            fail_fast=choices.fail_fast,
        )


async def preview_plans(session: Session, cells: Sequence[Cell], form: str, given: dagger.File | None) -> str:
    """Tell what a selection of cells would do, in one of the forms."""
    require_choice("plan format", form, PLAN_FORMATS)
    plans = await session.plans(cells)
    if form == "github":
        return json.dumps(preview.github(plans))
    history = await Run(session).history(given)
    found = preview.preview(plans, preview.left_out(session.matrix, cells), history)
    return preview.text(found) if form == "text" else preview.document(found)


async def run_sweep(
    session: Session,
    cells: Sequence[Cell],
    choices: SweepOptions,
    publisher: Publisher | None,
    given: dagger.File | None,
    hook: Webhook,
) -> str:
    """Build cells, tell the webhook, and return the report.

    Raises:
        SweepError: a cell failed; the message is the report, with a line for each cell that did.
    """
    if publisher and not choices.verified:
        raise UserError("an image is not published unverified: leave out --publish or --no-verify")
    if not cells:
        return "no cell to build\n"
    run = Run(session)
    before = await run.history(given)
    records = await run.build(cells, choices, publisher, before)
    told = await hook.told(before, records)
    # What this run came to: a cell that it left out is not shown as the run before left it.
    text = terminal(build_report(History(records, before.problems), session.image_names(cells), run.live))
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
    run = Run(session)
    choices = SweepOptions(limit=1, disk_floor=0.0, fail_fast=False, verified=True)
    records = await run.build([cell], choices, publisher, await run.history(None))
    if records[0].status == "failed":
        raise SweepError(
            "\n".join(
                failure_line(row)
                for row in build_report(History(records), session.image_names([cell]), run.live).rows
            )
        )
    return list(records[0].published)


def build_report(history: History, names: Sequence[str], live: frozenset[str]) -> Report:
    """Return the report over images, as it is now."""
    return make_report(history, names, now=utc_now(), live=live)


def render_report(report: Report, form: str, into: str | None) -> str:
    """Write a report in one of the forms; Markdown goes between the marks of a document, if one is given.

    Raises:
        UserError: there is no such form, or the document does not go with it.
    """
    require_choice("report format", form, FORMATS)
    text = FORMATS[form](report)
    if into is None:
        return text
    if form != "markdown":
        raise UserError(f"only markdown goes into a document, not {form}")
    return replaced(into, text)
