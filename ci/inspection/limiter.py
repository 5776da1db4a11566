"""Run as many checks at once as the machine's cores and memory allow, over all images that are checked."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import anyio

from ci.inspection.checks import CheckNeeds
from ci.session.machine import Machine
from ci.util.units import GB

# The rest is the engine's, and what files are cached in.
MEMORY_SHARE = 0.8
# As many checks as two images have: a large one may wait for small ones, but not for those of one image after another.
MOST_OVERTAKEN = 36


@dataclass(frozen=True)
class Capacity:
    """The cores, and the memory in GB (10^9 bytes), that checks may use together."""

    cores: int
    memory_gb: float


@dataclass(eq=False)
class Waiting:
    """A check that waits until it may start; `overtaken` counts those that came later and started before."""

    needs: CheckNeeds
    overtaken: int = 0
    started: anyio.Event = field(default_factory=anyio.Event)


def check_capacity(machine: Machine) -> Capacity:
    """Return what checks may use of a machine.

    >>> check_capacity(Machine(cores=2, memory=24 * GB, free_disk=0))
    Capacity(cores=2, memory_gb=19.2)
    """
    return Capacity(machine.cores, machine.memory * MEMORY_SHARE / GB)


def may_start(needs: CheckNeeds, running: Sequence[CheckNeeds], capacity: Capacity) -> bool:
    """Return whether a check fits beside those that run.

    One that needs more than there is runs when no other does, so that none is left out.

    >>> two, large = Capacity(cores=2, memory_gb=4.0), CheckNeeds(memory_gb=3.0)
    >>> may_start(large, [CheckNeeds(memory_gb=0.5)], two), may_start(large, [large], two)
    (True, False)
    """
    if not running:
        return True
    if needs.alone or any(one.alone for one in running):
        return False
    cores = needs.cores + sum(one.cores for one in running)
    memory_gb = needs.memory_gb + sum(one.memory_gb for one in running)
    return cores <= capacity.cores and memory_gb <= capacity.memory_gb


def choose_next(
    waiting: Sequence[Waiting], running: Sequence[CheckNeeds], capacity: Capacity
) -> list[Waiting]:
    """Return the checks that start now, in the order in which they came; smaller ones may overtake."""
    chosen: list[Waiting] = []
    for place, one in enumerate(waiting):
        if may_start(one.needs, [*running, *(other.needs for other in chosen)], capacity):
            chosen.append(one)
            for earlier in waiting[:place]:
                earlier.overtaken += earlier not in chosen
        elif one.overtaken >= MOST_OVERTAKEN:
            break
    return chosen


class CheckLimiter:
    """Let checks start when they fit; a sweep has one for all its cells."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._waiting: list[Waiting] = []
        self._running: list[Waiting] = []
        self._compiling = 0

    @asynccontextmanager
    async def run(self, needs: CheckNeeds) -> AsyncIterator[None]:
        """Wait until a check may start; it counts as running until the block ends."""
        one = Waiting(needs)
        self._waiting.append(one)
        self._start()
        try:
            await one.started.wait()
            yield
        finally:  # it was cancelled while it waited, or has run
            (self._running if one in self._running else self._waiting).remove(one)
            self._start()

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Start no second check until the block ends, which runs a step that needs the machine: a compilation.

        The step does not wait: checks that run go on.
        """
        self._compiling += 1
        try:
            yield
        finally:
            self._compiling -= 1
            self._start()

    def _start(self) -> None:
        running = [one.needs for one in self._running]
        capacity = Capacity(0, 0.0) if self._compiling else self._capacity
        for one in choose_next(self._waiting, running, capacity):
            self._waiting.remove(one)
            self._running.append(one)
            one.started.set()
