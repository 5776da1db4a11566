"""Decide which job is started next, and foresee when all of them will have ended."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

GB = 1e9
# Memory of one job, bytes; of compilers what was measured, rounded up. Options replace those of compilers.
MEMORY: Mapping[str, float] = {
    "cu": 1.6 * GB,
    "cpp": 1.1 * GB,
    "full_cu": 3.5 * GB,
    "full_cpp": 2.0 * GB,
    "link": 0.3 * GB,
    "pack": 0.5 * GB,
}
# Processor seconds of one job, measured for one GPU architecture: they set the order and the first estimate.
SECONDS: Mapping[str, float] = {
    "cu": 35.0,
    "cpp": 13.0,
    "full_cu": 110.0,
    "full_cpp": 38.0,
    "link": 0.5,
    "pack": 3.0,
}
SHORT = ("link", "pack")  # started as soon as what they need is there: a module and a wheel end early


@dataclass(frozen=True)
class Room:
    """Processors and memory (bytes) for jobs that run at the same time."""

    cores: int
    memory: float


@dataclass(frozen=True)
class Job:
    """One process: the names of the jobs that it needs, its expected seconds, its memory in bytes."""

    name: str
    kind: str
    seconds: float
    memory: float
    needs: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True)
class Placed:
    """A job of a plan: its processor, and the seconds at which it begins and ends."""

    job: Job
    core: int
    begin: float
    end: float


def next_job(
    waiting: Sequence[Job], running: Collection[Job], done: Collection[str], room: Room
) -> Job | None:
    """Return the job to start now, or None: links and wheels first, then the longest that fits into the memory.

    A job that is larger than all of the memory is started when nothing else runs.
    """
    if len(running) >= room.cores:
        return None
    free = room.memory - sum(job.memory for job in running)
    ready = [job for job in waiting if job.needs <= set(done) and (job.memory <= free or not running)]
    return min(ready, key=lambda job: (job.kind not in SHORT, -job.seconds, job.name), default=None)


def plan_jobs(jobs: Iterable[Job], room: Room, running: Mapping[Job, float] | None = None) -> list[Placed]:
    """Return when and on which processor each job will run, in the order in which they begin.

    `running` are jobs that run already, with the seconds that each still takes.
    """
    waiting, done = list(jobs), set[str]()
    active: list[tuple[float, int, Job]] = []
    placed: list[Placed] = []
    free = list(range(room.cores))
    for job, left in (running or {}).items():
        active.append((left, free.pop(0) if free else room.cores, job))
        placed.append(Placed(job, active[-1][1], 0.0, left))
    known = {job.name for job in [*waiting, *(running or {})]}
    waiting = [Job(job.name, job.kind, job.seconds, job.memory, job.needs & known) for job in waiting]
    now = 0.0
    heap = [(end, core, job.name) for end, core, job in active]
    heapq.heapify(heap)
    by_name = {job.name: job for _, _, job in active}
    while waiting or heap:
        while following := next_job(waiting, list(by_name.values()), done, room):
            waiting.remove(following)
            core = free.pop(0)
            by_name[following.name] = following
            placed.append(Placed(following, core, now, now + following.seconds))
            heapq.heappush(heap, (now + following.seconds, core, following.name))
        if not heap:
            raise ValueError(f"jobs that need what is not there: {', '.join(job.name for job in waiting)}")
        now, core, name = heapq.heappop(heap)
        del by_name[name]
        done.add(name)
        if core < room.cores:
            free.append(core)
            free.sort()
    return placed


def length(placed: Iterable[Placed]) -> float:
    """Return the seconds after which the last job of a plan ends."""
    return max((one.end for one in placed), default=0.0)


def show_plan(placed: Sequence[Placed], room: Room) -> list[str]:
    """Return the lines that show a plan: a row for each processor, and how much of the time they work."""
    total, end = sum(one.end - one.begin for one in placed), length(placed)
    lines = []
    for core in range(room.cores):
        mine = [one for one in placed if one.core == core]
        words = [f"{one.begin:.0f}-{one.end:.0f} {one.job.name}" for one in mine if one.job.kind not in SHORT]
        lines.append(f"core {core + 1}: {', '.join(words) or 'nothing'}")
    busy = total / (end * room.cores) if end else 0.0
    peak = max((_memory_at(placed, one.begin) for one in placed), default=0.0)
    lines.append(
        f"{len(placed)} jobs, {total:.0f} s of work in {end:.0f} s on {room.cores} cores ({busy:.0%} busy), "
        f"at most {peak / GB:.1f} GB"
    )
    return lines


def _memory_at(placed: Iterable[Placed], when: float) -> float:
    return sum(one.job.memory for one in placed if one.begin <= when < one.end)
