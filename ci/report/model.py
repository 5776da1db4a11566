"""Make a report from a history: a row for each cell, with the result of its newest try."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ci.history.history import History
from ci.history.records import BuildRecord, CompiledObjects, Failure, StageRun, Status, unique_size
from ci.util.errors import one_line
from ci.util.units import format_count, format_date, format_duration, format_size, format_time

# In the order in which reports show them.
STATUSES: tuple[Status, ...] = ("ok", "warning", "failed", "building", "not-run")
# A status is never shown by its colour alone.
GLYPHS: Mapping[Status, str] = {"ok": "✓", "warning": "!", "failed": "✗", "building": "…", "not-run": "·"}
MEANINGS: Mapping[Status, str] = {
    "ok": "built, and passes all its checks",
    "warning": "built, with something to know: see the notes",
    "failed": "the last try failed",
    "building": "being built now",
    "not-run": "never built",
}
# The versions that notes show; an image has many more.
_SHOWN_VERSIONS = ("python", "torch", "torch-geometric", "ray", "marimo")
_MAX_NOTES = 400  # characters


@dataclass(frozen=True)
class Row:
    """A cell and its newest try.

    `record` is that try, None if there was none. `good` is the newest try that made an image, `tries` are the finished
    ones of all runs, oldest first. `skipped` is the reason why the cell was left out after its newest try, if it was.
    """

    cell: str
    record: BuildRecord | None = None
    good: BuildRecord | None = None
    tries: tuple[BuildRecord, ...] = ()
    skipped: str = ""

    @property
    def status(self) -> Status:
        """Return the status of the newest try, `not-run` if there was none."""
        return self.record.status if self.record else "not-run"

    @property
    def pair(self) -> str:
        """Return the CUDA x Python pair: `cu12.8.1-py3.13`."""
        return "-".join(self.cell.split("-", 2)[:2])

    @property
    def target(self) -> str:
        """Return the target: `ray-runtime`."""
        return self.cell.removeprefix(self.pair).removeprefix("-")

    @property
    def date(self) -> str:
        """Return the day, in UTC, on which the newest try began; empty if there was none."""
        return format_date(self.record.started) if self.record else ""

    @property
    def size(self) -> int | None:
        """Return the size on disk, in bytes, of the newest try's image."""
        return self.record.size if self.record else None

    @property
    def compressed(self) -> int | None:
        """Return the size in a registry, in bytes, of the newest try's image."""
        return self.record.compressed if self.record else None

    @property
    def seconds(self) -> float | None:
        """Return the duration of the newest try, in seconds."""
        return self.record.seconds if self.record else None

    @property
    def failure(self) -> Failure | None:
        """Return why the newest try failed; without a recorded reason, a failure of unknown kind."""
        if self.record is None or self.record.status != "failed":
            return None
        return self.record.failure or Failure(kind="unknown", stage="", message="nothing was recorded")

    @property
    def attempts(self) -> int:
        """Return the number of tries of the cell in the newest run."""
        return self.record.attempt if self.record else 0

    @property
    def notes(self) -> str:
        """Return one line with the most important facts about the newest try."""
        text = one_line("; ".join(part for part in (self._describe_try(), self.skipped) if part))
        return text if len(text) <= _MAX_NOTES else text[: _MAX_NOTES - 1] + "…"

    def _describe_try(self) -> str:
        record = self.record
        if record is None:
            return ""
        if self.failure:
            return describe_failure(self.failure) + self._last_good()
        if record.status == "building":
            return f"since {format_time(record.started)}"
        versions = ", ".join(
            f"{name} {record.versions[name]}" for name in _SHOWN_VERSIONS if name in record.versions
        )
        failed = ", ".join(name for name, passed in sorted(record.checks.items()) if not passed)
        notes = "; ".join(([f"failed checks: {failed}"] if failed else []) + list(record.notes))
        return notes or versions if record.status == "warning" else versions or notes

    def _last_good(self) -> str:
        return f"; last good {format_date(self.good.started)}" if self.good else ""


@dataclass(frozen=True)
class Report:
    """The data that all formats render: rows in order, problems of the history, and the time."""

    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()
    now: str = ""

    def counts(self) -> dict[Status, int]:
        """Count the rows of each status, including the statuses that no row has."""
        return {status: sum(row.status == status for row in self.rows) for status in STATUSES}

    def size(self) -> int:
        """Add up the sizes of the images, in bytes; a layer that two images share counts twice."""
        return sum(row.size or 0 for row in self.rows)

    def unique_size(self) -> int:
        """Add up the sizes of the distinct layers, in bytes.

        An image whose layers are unknown counts with its whole size.
        """
        return unique_size(row.record for row in self.rows if row.record)

    def seconds(self) -> float:
        """Add up the durations of the newest tries, in seconds, also if they ran at the same time."""
        return sum(row.seconds or 0.0 for row in self.rows)

    def summary(self) -> str:
        """Return one line: `17 ok, 1 failed, 0 not run; 2.1 h; 96.0 GB`."""
        labels = {"warning": "with warnings", "not-run": "not run"}
        hidden_at_zero = ("warning", "building")
        counts = [
            f"{count} {labels.get(status, status)}"
            for status, count in self.counts().items()
            if count or status not in hidden_at_zero
        ]
        size = format_size(self.size())
        if self.unique_size() < self.size():
            size += f", {format_size(self.unique_size())} with shared layers counted once"
        return f"{', '.join(counts)}; {format_duration(self.seconds())}; {size}"

    def by_pair(self) -> dict[str, list[Row]]:
        """Group the rows by CUDA x Python pair; pairs and rows keep their order."""
        grouped: dict[str, list[Row]] = {}
        for row in self.rows:
            grouped.setdefault(row.pair, []).append(row)
        return grouped


def describe_checks_below(record: BuildRecord) -> tuple[str, ...]:
    """Name the checks that ran in other images: `2 of 17 checks passed in cu12.8.1-py3.13-runtime: imports, …`."""
    by_image: dict[str, list[str]] = {}
    for name, image in record.checked_in.items():
        by_image.setdefault(image, []).append(name)
    total = format_count(len(record.checks), "check", "checks")
    return tuple(
        one_line(f"{len(names)} of {total} passed in {image}: {', '.join(names)}")
        for image, names in by_image.items()
    )


def describe_stage(stage: StageRun) -> str:
    """Tell a stage's time, who built it, and what it compiled.

    >>> objects = CompiledObjects(narrow=66, full=1, cached=60)
    >>> describe_stage(StageRun(name="wheels", seconds=95.0, objects=objects))
    "1.6 min, 67 objects: 66 with narrow headers, 1 with torch's own; 60 from ccache"
    """
    shared = f", shared with {stage.shared_with}" if stage.shared_with else ""
    return f"{format_duration(stage.seconds)}{shared}{_describe_objects(stage.objects)}"


def _describe_objects(objects: CompiledObjects | None) -> str:
    if objects is None:
        return ""
    number = format_count(objects.narrow + objects.full, "object", "objects")
    ways = f"{objects.narrow} with narrow headers, {objects.full} with torch's own"
    return f", {number}: {ways}; {objects.cached} from ccache"


def make_report(history: History, cells: Iterable[str], *, now: str, live: Collection[str] = ()) -> Report:
    """Make the report of cells, by id and in that order, also of those without records.

    A try that has no end is reported as failed (interrupted), unless its run is `live`. `now`, the time of the report,
    is in ISO 8601.

    >>> make_report(History(), ["cpu-py3.13-devel"], now="2026-11-22T02:00:00Z").summary()
    '0 ok, 0 failed, 1 not run; 0.0 s; 0 B'
    """
    decided = history.with_interrupted(live)
    # A record of a cell that was left out is not a try, and must not hide the try before it.
    tried = History(tuple(record for record in decided.records if record.status != "not-run"))
    rows = tuple(_row(decided, tried, cell) for cell in dict.fromkeys(cells))
    return Report(rows, history.problems, now)


def describe_failure(failure: Failure) -> str:
    """Describe a failure in one line: `network at torch: connection refused`."""
    stage = f" at {failure.stage}" if failure.stage else ""
    message = f": {failure.message}" if failure.message else ""
    return one_line(f"{failure.kind}{stage}{message}")


def _row(history: History, tried: History, cell: str) -> Row:
    newest = history.latest(cell)
    skipped = ""
    if newest and newest.status == "not-run":
        skipped = ": ".join(
            [
                f"left out on {format_date(newest.started)}",
                *(["; ".join(newest.notes)] if newest.notes else []),
            ]
        )
    return Row(cell, tried.latest(cell), tried.last_good(cell), tried.finished(cell), skipped)
