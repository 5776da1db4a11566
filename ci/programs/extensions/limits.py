"""Read how many processors and how much memory this machine, or its control group, grants."""

from __future__ import annotations

import os
import re
from pathlib import Path

from extensions.schedule import Room

_GROUP = Path("/sys/fs/cgroup")


def available_memory(meminfo: str, limit: str = "", current: str = "", stat: str = "") -> int:
    """Return the bytes that may be used: the machine's MemAvailable, or what is left to the control group (v2) if less.

    Pages of files that the group could drop do not count as used.
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    memory = int(found.group(1)) * 1024 if found else 0
    if limit.strip().isdigit() and current.strip().isdigit():
        pages = sum(int(n) for n in re.findall(r"^(?:inactive_file|active_file) (\d+)", stat, re.MULTILINE))
        memory = min(memory, int(limit) - max(int(current) - pages, 0))
    return max(memory, 0)


def cores(affinity: int, cpu_max: str = "") -> int:
    """Return the number of processors that may be used; `cpu_max` is the control group's "quota period"."""
    quota, _, period = cpu_max.strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        return max(1, min(affinity, round(int(quota) / int(period))))
    return affinity


def room_here() -> Room:
    """Return the processors and the memory of this machine that compilers may use."""
    memory = available_memory(
        _text(Path("/proc/meminfo")),
        *(_text(_GROUP / name) for name in ("memory.max", "memory.current", "memory.stat")),
    )
    return Room(cores(len(os.sched_getaffinity(0)), _text(_GROUP / "cpu.max")), memory)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
