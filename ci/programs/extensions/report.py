"""Tell how a compilation goes, and write report.json."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from common.files import sha256_of
from extensions.schedule import SHORT, Job, length, plan_jobs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from extensions.commands import Package
    from extensions.pool import Pool, Task, Usage

HITS, MISSES = ("direct_cache_hit", "preprocessed_cache_hit"), ("cache_miss",)


def printable(text: str) -> str:
    """Return a text from a package, such as a file's name, fit for a terminal: on one line, without controls."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def log(text: str) -> None:
    """Print a line of progress."""
    print(f"compile_wheels: {printable(text)}", flush=True)


def duration(seconds: float) -> str:
    """Return a span of time in words: to 10 seconds below a minute and a half, else to minutes.

    >>> duration(14), duration(240), duration(4000)
    ('20 s', '4 min', '1 h 7 min')
    """
    if seconds < 90:
        return f"{max(10, -int(-seconds // 10) * 10)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@dataclass(frozen=True)
class Made:
    """One object that was compiled; `kind` tells the compiler and the headers, times are in seconds."""

    package: str
    module: str
    source: str
    kind: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


class Progress:
    """Count objects, foresee the time that is left, and print both."""

    def __init__(self, pool: Pool, tasks: Iterable[Task]) -> None:
        self.pool = pool
        self.total = Counter(task.package.name for task in tasks if task.job.kind not in SHORT)
        self.made: list[Made] = []
        self.expected: dict[
            str, list[tuple[float, float]]
        ] = {}  # of a kind: seconds that were foreseen, and taken

    def ended(self, task: Task, used: Usage) -> None:
        """Note a finished task, and print a line for an object and for a wheel."""
        package, job = task.package, task.job
        self.expected.setdefault(job.kind, []).append((job.seconds, used.seconds))
        if job.kind == "pack":
            package.wheel = next((package.build / "wheel").glob("*.whl"))
            package.seconds = time.monotonic() - package.began
            log(
                f"{package.label}: {package.wheel.name}, {package.wheel.stat().st_size} bytes, "
                f"{package.seconds:.0f} s"
            )
        elif job.kind not in SHORT:
            module, _, source = job.name.partition(" ")
            self.made.append(
                Made(package.name, module, source, job.kind, used.seconds, used.cpu_seconds, used.peak)
            )
            count = sum(one.package == package.name for one in self.made)
            own = ", not with narrow headers," if task.again else ""
            log(
                f"{package.label}: {count}/{self.total[package.name]} objects, "
                f"{source.removeprefix('csrc/')} {used.seconds:.0f} s{own}, {self.left()}"
            )

    def quiet(self) -> None:
        """Print a sign of life while no object is finished."""
        names = [task.what.removeprefix("csrc/") for task, _ in self.pool.running.values()]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        log(f"still at {', '.join(names[:3])}{more}, {self.left()}")

    def left(self) -> str:
        """Say how long the remaining tasks take."""
        return f"about {duration(self.seconds_left())} left"

    def seconds_left(self) -> float:
        """Foresee the seconds until the last task ends, by how long those of its kind took so far."""
        now = time.monotonic()
        waiting = [self._scaled(task.job) for task in self.pool.waiting]
        running = {}
        for task, began in self.pool.running.values():
            job = self._scaled(task.job)
            running[job] = max(job.seconds - (now - began), 1.0)
        return length(plan_jobs(waiting, self.pool.room, running))

    def _scaled(self, job: Job) -> Job:
        """Return a job with the seconds that finished ones let expect."""
        pairs = self.expected.get(job.kind) or [pair for pairs in self.expected.values() for pair in pairs]
        foreseen = sum(pair[0] for pair in pairs)
        return (
            replace(job, seconds=job.seconds * sum(pair[1] for pair in pairs) / foreseen) if foreseen else job
        )


def count_cache(package: Package) -> dict[str, int]:
    """Return how many objects of a package came from ccache, and how many were compiled."""
    logs = sorted(package.build.glob("*.ccache"))
    words = [word for log in logs for word in log.read_text(encoding="utf-8").split()]
    return {
        "hits": sum(words.count(word) for word in HITS),
        "misses": sum(words.count(word) for word in MISSES),
    }


def count_objects(made: Iterable[Made], packages: Iterable[Package]) -> dict[str, int]:
    """Count the objects of packages: compiled with narrow headers, with torch's own, and of both from ccache."""
    cached = {package.name: count_cache(package)["hits"] for package in packages}
    kinds = [one.kind for one in made if one.package in cached]
    full = sum(kind.startswith("full_") for kind in kinds)
    return {"narrow": len(kinds) - full, "full": full, "cached": sum(cached.values())}


def copy_wheel(package: Package, made: Sequence[Made], out: Path, cached: bool) -> dict[str, Any]:
    """Copy a package's wheel; return its entry of the report."""
    assert package.wheel is not None
    wheel = out / package.wheel.name
    shutil.copyfile(package.wheel, wheel)
    mine = [one for one in made if one.package == package.name]
    return {
        "version": package.version,
        "wheel": wheel.name,
        "bytes": wheel.stat().st_size,
        "sha256": sha256_of(wheel),
        "seconds": round(package.seconds, 1),
        "cpu_seconds": round(sum(one.cpu_seconds for one in mine), 1),
        "objects": count_objects(mine, [package]),
        "ccache": count_cache(package) if cached else None,
    }


def write_report(
    options: argparse.Namespace, packages: Sequence[Package], progress: Progress, about: dict[str, Any]
) -> None:
    """Copy the wheels, write report.json beside them, and print the totals."""
    made = progress.made
    cached = bool(about.pop("ccache"))
    kinds = sorted({one.kind for one in made})
    report: dict[str, Any] = {
        **about,
        "python": sys.version.split()[0],
        "objects": count_objects(made, packages),
        "peak_bytes": {kind: max(one.peak_bytes for one in made if one.kind == kind) for kind in kinds},
        "packages": {
            package.name: copy_wheel(package, made, options.out, cached)
            for package in packages
            if package.wheel
        },
        "compiled": [asdict(one) for one in made],
    }
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    counts = report["objects"]
    told = f", objects: {counts['narrow']} with narrow headers, {counts['full']} with torch's own"
    if cached:
        told += f"; {counts['cached']} of them from ccache"
    log(f"{len(report['packages'])} wheels in {report['seconds']:.0f} s{told}")
