"""Make the records of a sweep, and write them in batches while cells are being built."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ci.history.records import BuildRecord, StageRun, Status
from ci.plan.plan import Plan
from ci.sweep.interface import Executor

# Seconds between two writes: each write is a step of the engine, so the records that come meanwhile share one.
WRITE_INTERVAL = 2.0


@dataclass
class CellAttempt:
    """One attempt at a cell while it runs.

    `started` is UTC in ISO 8601, `clock` the executor's clock at the start in seconds, `current` the stage that is
    being built.
    """

    plan: Plan
    number: int
    started: str
    clock: float
    stages: list[StageRun] = field(default_factory=list)
    current: str = ""


class Recorder:
    """Record the attempts of one run; `latest` has the last record of each image by name."""

    def __init__(self, executor: Executor, run: str, sources: str) -> None:
        self.latest: dict[str, BuildRecord] = {}
        self._executor = executor
        self._run = run
        self._sources = sources
        self._queue: MemoryObjectSendStream[BuildRecord]
        self._closed = anyio.Event()
        self._error: Exception | None = None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write records in the background until the block ends, and then the rest.

        Raises:
            Exception: the first error of a write, after the block has ended.
        """
        self._queue, records = anyio.create_memory_object_stream[BuildRecord](math.inf)
        async with anyio.create_task_group() as group:
            group.start_soon(self._write, records)
            async with self._queue:
                yield
            self._closed.set()
        if self._error:
            raise self._error

    def begin(self, plan: Plan) -> CellAttempt:
        """Begin the first attempt at a cell."""
        return CellAttempt(plan, 1, self._executor.now(), self._executor.seconds())

    def begin_again(self, attempt: CellAttempt) -> None:
        """Begin and record the next attempt at a cell; it keeps the stages that are built."""
        attempt.number += 1
        attempt.started, attempt.clock = self._executor.now(), self._executor.seconds()
        self.add(attempt, "building")

    def add(self, attempt: CellAttempt, status: Status, **facts: Any) -> None:
        """Record the status of an attempt; `facts` are further fields of its record."""
        record: dict[str, Any] = {
            "run": self._run,
            "cell": attempt.plan.id,
            "attempt": attempt.number,
            "plan": attempt.plan.digest,
            "sources": self._sources,
            "status": status,
            "started": attempt.started,
        }
        if status not in ("building", "not-run"):
            record |= {
                "seconds": round(self._executor.seconds() - attempt.clock, 1),
                "stages": tuple(attempt.stages),
            }
        self.latest[attempt.plan.id] = made = BuildRecord.model_validate(record | facts)
        self._queue.send_nowait(made)

    async def _write(self, records: MemoryObjectReceiveStream[BuildRecord]) -> None:
        """Write records in order: the first one at once, then a batch at every interval."""
        async for record in records:
            batch = [record]
            with suppress(anyio.WouldBlock, anyio.EndOfStream):
                while True:
                    batch.append(records.receive_nowait())
            try:
                await self._executor.append_records(batch)
            except Exception as error:  # noqa: BLE001 - cells are still built; the sweep fails at its end
                self._error = self._error or error
            with anyio.move_on_after(WRITE_INTERVAL):
                await self._closed.wait()
