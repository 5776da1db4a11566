"""Read the history of builds: the engine's records, merged with those of the caller's file."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import dagger

from ci.history.history import History, merge_histories, missing_lines, read_history
from ci.plan.attempt import StageAttempt
from ci.session.clock import utc_now
from ci.session.history_store import HistoryStore
from ci.session.machine import Machine
from ci.session.session import Session


@dataclass(frozen=True)
class KnownHistory:
    """The records of earlier runs, the ids of live runs, and the engine's machine.

    `seen` is the time at which the machine was read, in seconds of `time.monotonic`; `stages` are the seconds of stages
    that were built outside of sweeps, by digest.
    """

    history: History
    live: frozenset[str]
    machine: Machine
    seen: float
    stages: Mapping[str, float] = field(default_factory=dict)

    def stage_seconds(self) -> Mapping[str, float]:
        """Return the longest build of each stage in seconds, by digest; shorter ones may have been cached."""
        known = dict(self.history.stage_seconds())
        for digest, seconds in self.stages.items():
            known[digest] = max(known.get(digest, 0.0), seconds)
        return known


def open_store(session: Session) -> HistoryStore:
    """Open the engine's history under a new run id: `2026-11-22T02:00:00Z-9f2c41`."""
    run = f"{utc_now()}-{secrets.token_hex(3)}"
    return HistoryStore(session.matrix.image.name, session.probe_container, run)


async def load_history(store: HistoryStore, file: dagger.File | None) -> KnownHistory:
    """Read the engine's history, and add what only the caller's file has."""
    snapshot = await store.read()
    seen = time.monotonic()
    own = read_history(snapshot.text, "the engine's history")
    found = [own]
    if file is not None:
        found.append(read_history(await file.contents(), await file.name()))
        if lines := missing_lines(own, found[1]):
            await store.append(lines)
    # Also of one history: the order, and the number of tries, must not depend on whether a file is given.
    history = merge_histories(*found, now=utc_now())
    return KnownHistory(history, snapshot.live, snapshot.machine, seen, snapshot.stages)


def known_attempts(session: Session, history: History) -> Mapping[str, StageAttempt]:
    """Return the attempt that built each stage in an earlier run, by stage digest."""
    known = history.attempts()
    if session.context.jobs:  # the caller's number of jobs overrides that of an earlier run
        return {digest: replace(attempt, jobs=None) for digest, attempt in known.items()}
    return known
