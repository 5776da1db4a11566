"""Keep the history in a cache volume, where it survives a killed client or engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import dagger
from dagger import dag

from ci.plan.caches import Cache
from ci.session.machine import SCRIPT, Machine, parse_machine
from ci.stages.cache_volumes import with_cache

_FILE = f"{Cache.RECORDS.path}/history.jsonl"
_RUNS = f"{Cache.RECORDS.path}/runs"
_COPY = "/tmp/history.jsonl"  # noqa: S108 - in a container
_LINES = "/run/given.jsonl"
_MACHINE_LINES = 3  # that the script of `machine` prints

# One writer at a time. If a crash cut the last line, it is ended first, so that the new lines can be read.
_APPEND = f"""
set -eu
exec 9>>{_FILE}.lock
flock 9
touch {_FILE}
[ -z "$(tail -c 1 {_FILE})" ] || echo >>{_FILE}
cat {_LINES} >>{_FILE}
sync {_FILE}
"""

# A live run holds a lock on a file with its id, and loses the lock however it ends. The machine is read in the same
# step, because a step of its own would take longer than the commands.
_READ = f"""{SCRIPT}
mkdir -p {_RUNS}
touch {_FILE}
cp {_FILE} {_COPY}
cd {_RUNS}
for run in *; do
    [ -e "$run" ] || continue
    if flock --nonblock "$run" true; then rm -f "$run"; else echo "$run"; fi
done
"""
_LIVE = f"""
set -eu
mkdir -p {_RUNS}
exec 9>"{_RUNS}/$1"
flock 9
exec sleep infinity
"""


@dataclass(frozen=True)
class HistorySnapshot:
    """The history of an engine at one moment, the ids of its live runs, and its machine."""

    text: str
    live: frozenset[str]
    machine: Machine


class HistoryStore:
    """The history of an image on this engine.

    `name` is the image's name in the matrix (`me/image`). Steps run in `container`. `run` is the id of this run; it
    also keeps Dagger from reusing results of other runs.
    """

    def __init__(self, name: str, container: dagger.Container, run: str) -> None:
        self._name = name.replace("/", "-")
        self._container = container
        self.run = run
        self._steps = 0

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Mark this run as live until the block ends."""
        lock = self._with_records().as_service(args=["sh", "-c", _LIVE, "live", self.run])
        await lock.start()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await lock.stop(kill=True)

    async def read(self) -> HistorySnapshot:
        """Read the current history, live runs and machine."""
        step = self._uncached().with_exec(["sh", "-c", _READ])
        text = await step.file(_COPY).contents()
        *machine, live = (await step.stdout()).split("\n", _MACHINE_LINES)
        return HistorySnapshot(text, frozenset(live.split()), parse_machine("\n".join(machine)))

    async def append(self, lines: str) -> None:
        """Append lines, and return when they are written to disk."""
        file = dag.directory().with_new_file("given.jsonl", lines).file("given.jsonl")
        await self._uncached().with_mounted_file(_LINES, file).with_exec(["sh", "-c", _APPEND]).sync()

    def _uncached(self) -> dagger.Container:
        """Return the container with a variable that is new for each step: none is cached."""
        self._steps += 1
        return self._with_records().with_env_variable("MARK", f"{self.run}-{self._steps}")

    def _with_records(self) -> dagger.Container:
        return with_cache(self._container, Cache.RECORDS, self._name)
