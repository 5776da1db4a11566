"""The history of builds, kept in a cache volume: it outlives a client that is killed, and the engine's process too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import dagger
from dagger import dag

from ci.plan.caches import Cache
from ci.session.machine import LOOK, Machine, parse_machine
from ci.stages.cache_volumes import with_cache

_FILE = f"{Cache.RECORDS.path}/history.jsonl"
_RUNS = f"{Cache.RECORDS.path}/runs"
_COPY = "/tmp/history.jsonl"  # noqa: S108 - in a container
_GIVEN = "/run/given.jsonl"
_LOOKED = 3  # lines that a look at the machine prints

# One writer at a time. A line that a crash cut off is ended first, so that it spoils no other.
_APPEND = f"""
set -eu
exec 9>>{_FILE}.lock
flock 9
touch {_FILE}
[ -z "$(tail -c 1 {_FILE})" ] || echo >>{_FILE}
cat {_GIVEN} >>{_FILE}
sync {_FILE}
"""

# A run that goes on holds a lock on a file of its name; whatever ends the run, its lock ends with it. The machine is
# looked at in the same step: a step costs more than all that these do.
_READ = f"""{LOOK}
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
    """What an engine knows when it is asked: its history, the runs that go on, and what its machine has."""

    text: str
    live: frozenset[str]
    machine: Machine


class HistoryStore:
    """The history of an image on this engine, by its name in the matrix (`me/image`).

    Steps run in `container`. `run` is the id of the run, which also makes the engine run its steps anew.
    """

    def __init__(self, name: str, container: dagger.Container, run: str) -> None:
        self._name = name.replace("/", "-")
        self._base = container
        self.run = run
        self._count = 0

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Show to all who read that this run goes on, for as long as it does."""
        held = self._container().as_service(args=["sh", "-c", _LIVE, "live", self.run])
        await held.start()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await held.stop(kill=True)

    async def read(self) -> HistorySnapshot:
        """Return what the engine knows now."""
        done = self._uncached().with_exec(["sh", "-c", _READ])
        text = await done.file(_COPY).contents()
        *machine, live = (await done.stdout()).split("\n", _LOOKED)
        return HistorySnapshot(text, frozenset(live.split()), parse_machine("\n".join(machine)))

    async def append(self, lines: str) -> None:
        """Append lines, and return when they are on the disk."""
        given = dag.directory().with_new_file("given.jsonl", lines).file("given.jsonl")
        await self._uncached().with_mounted_file(_GIVEN, given).with_exec(["sh", "-c", _APPEND]).sync()

    def _uncached(self) -> dagger.Container:
        self._count += 1
        return self._container().with_env_variable("MARK", f"{self.run}-{self._count}")

    def _container(self) -> dagger.Container:
        return with_cache(self._base, Cache.RECORDS, self._name)
