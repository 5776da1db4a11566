"""Read the history that a call works with: the engine's own records, and those of a file of the caller's."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import dagger

from ci.history.records import History, merged, read_history
from ci.plan.attempt import StageAttempt
from ci.session.clock import utc_now
from ci.session.history_store import HistoryStore
from ci.session.machine import Machine
from ci.session.session import Session


@dataclass(frozen=True)
class KnownHistory:
    """The records of earlier runs, the ids of runs that go on, and the engine's machine.

    `seen` is when the machine was looked at, in seconds of `time.monotonic`.
    """

    history: History
    live: frozenset[str]
    machine: Machine
    seen: float


def open_store(session: Session) -> HistoryStore:
    """Open the engine's history under a new run id, which begins with the time: `2026-11-22T02:00:00Z-9f2c41`."""
    run = f"{utc_now()}-{secrets.token_hex(3)}"
    return HistoryStore(session.matrix.image.name, session.probe_container, run)


async def load_history(store: HistoryStore, file: dagger.File | None) -> KnownHistory:
    """Read the engine's history and the caller's file; lines that only the file has are appended to the engine's."""
    snapshot = await store.read()
    seen = time.monotonic()
    own = read_history(snapshot.text, "the engine's history")
    if file is None:
        return KnownHistory(own, snapshot.live, snapshot.machine, seen)
    brought = read_history(await file.contents(), await file.name())
    known = {record.line() for record in own.records}
    missing = [line for record in brought.records if (line := record.line()) not in known]
    missing += [f"{line}\n" for line in brought.newer if line not in own.newer]
    if missing:
        await store.append("".join(missing))
    return KnownHistory(merged(own, brought), snapshot.live, snapshot.machine, seen)


def known_attempts(session: Session, history: History) -> Mapping[str, StageAttempt]:
    """Return the attempt that built each stage before, by the stage's digest."""
    known = history.attempts()
    if session.context.jobs:  # the caller's own number goes before one that an earlier run came to
        return {digest: replace(attempt, jobs=None) for digest, attempt in known.items()}
    return known
