"""Read, merge and query histories: JSON Lines files, one record a line, oldest first.

A crash in the middle of a write leaves at most one broken line. Such a line is reported and the others are still read.
What is not understood is never dropped: a history that is written back has it where it was.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ci.history.lines import read_line, split_lines
from ci.history.ordering import order_records
from ci.history.records import BuildRecord, Failure
from ci.plan.attempt import StageAttempt


@dataclass(frozen=True)
class UnknownLine:
    """A line, or a part of one, that is not understood; `after` is the number of records before it."""

    text: str
    after: int


@dataclass(frozen=True)
class History:
    """All records, oldest first, and the problems found in lines that could not be read.

    `unknown_lines` are broken, or were written by a later version of this program; `text` writes them back unchanged,
    each at its place among the records.
    """

    records: tuple[BuildRecord, ...] = ()
    problems: tuple[str, ...] = ()
    unknown_lines: tuple[UnknownLine, ...] = ()

    def text(self) -> str:
        """Return the history as a file: each record, and between them the lines that were not understood."""
        return "".join(line for line, _ in self.numbered_lines())

    def numbered_lines(self) -> Iterator[tuple[str, int]]:
        """Yield each line of the file with the number of records up to it."""
        unknown = sorted(self.unknown_lines, key=lambda line: line.after)
        done = 0
        for number, record in enumerate(self.records, 1):
            while done < len(unknown) and unknown[done].after < number:
                yield f"{unknown[done].text}\n", number - 1
                done += 1
            yield record.line(), number
        yield from ((f"{line.text}\n", len(self.records)) for line in unknown[done:])

    def cells(self) -> tuple[str, ...]:
        """Return the names of all recorded images, in the order in which they were first recorded."""
        return tuple(dict.fromkeys(record.cell for record in self.records))

    def latest(self, cell: str) -> BuildRecord | None:
        """Return the newest record of a cell.

        An attempt recorded as `building` counts only until a later attempt exists; once it has ended, the record of
        its end counts, wherever that is in the history.
        """
        return next(reversed(self._by_cell.get(cell, ())), None)

    def last_good(self, cell: str) -> BuildRecord | None:
        """Return the newest record of a cell whose image was built."""
        newest_first = reversed(self._by_cell.get(cell, ()))
        return next((record for record in newest_first if record.status in ("ok", "warning")), None)

    def finished(self, cell: str) -> tuple[BuildRecord, ...]:
        """Return the finished attempts of a cell, oldest first."""
        return tuple(record for record in self._by_cell.get(cell, ()) if record.finished)

    def stage_seconds(self) -> Mapping[str, float]:
        """Return the longest build of each stage in seconds, by stage digest.

        Shorter ones may have been cached.
        """
        longest: dict[str, float] = {}
        for record in self.records:
            for stage in record.stages:
                if stage.digest and not stage.shared_with:
                    longest[stage.digest] = max(longest.get(stage.digest, 0.0), stage.seconds)
        return longest

    def attempts(self) -> Mapping[str, StageAttempt]:
        """Return the last successful attempt of each stage, by stage digest."""
        stages = (stage for record in self.records for stage in record.stages)
        return {stage.digest: StageAttempt(stage.jobs, stage.tried) for stage in stages if stage.digest}

    def with_interrupted(self, live: Collection[str] = ()) -> "History":
        """Return the history with unfinished attempts of ended runs marked as interrupted.

        `live` are the ids of the runs that may still be building.
        """
        records = tuple(
            _mark_interrupted(record) if record.status == "building" and record.run not in live else record
            for record in self._decisive
        )
        unknown_lines = tuple(
            UnknownLine(line.text, min(line.after, len(records))) for line in self.unknown_lines
        )
        return History(records, self.problems, unknown_lines)

    @cached_property
    def _decisive(self) -> tuple[BuildRecord, ...]:
        """The records that no other record of the same attempt supersedes."""
        weights = [
            # Of several starts of one attempt the last one counts; ends are all kept.
            (rank, place if rank == 0 else 0)
            for place, rank in enumerate(map(_rank, self.records))
        ]
        heaviest: dict[tuple[str, str, int], tuple[int, int]] = {}
        for record, weight in zip(self.records, weights, strict=True):
            heaviest[record.key] = max(heaviest.get(record.key, weight), weight)
        return tuple(
            record
            for record, weight in zip(self.records, weights, strict=True)
            if record.status == "not-run" or weight >= heaviest[record.key]
        )

    @cached_property
    def _by_cell(self) -> Mapping[str, list[BuildRecord]]:
        # A report asks for each cell: a search through all records for each would be quadratic.
        by_cell: dict[str, list[BuildRecord]] = {}
        for record in self._decisive:
            by_cell.setdefault(record.cell, []).append(record)
        return by_cell


def read_history(text: str, name: str = "history.jsonl") -> History:
    """Read a history file; a line that cannot be read becomes a problem, and is kept as it is.

    If a crash cut a line and the next record was written directly after it, that record is read.

    >>> read_history("nonsense\\n").problems
    ("history.jsonl line 1: not JSON, passed over: 'nonsense'",)
    """
    records: list[BuildRecord] = []
    problems: list[str] = []
    unknown_lines: list[UnknownLine] = []
    for number, line in split_lines(text):
        for part in read_line(line):
            if isinstance(part, BuildRecord):
                records.append(part)
                continue
            if part.problem:
                problems.append(f"{name} line {number}: {part.problem}")
            if part.text:
                unknown_lines.append(UnknownLine(part.text, len(records)))
    return History(tuple(records), tuple(problems), tuple(unknown_lines))


def merge_histories(*histories: History, now: str = "") -> History:
    """Merge histories: each record once, ordered by start time, and the tries of a run by their number.

    A record that is dated later than `now` was written by a wrong clock, and keeps its place before what was written
    after it; see `order_records`.
    """
    records = order_records([history.records for history in histories], now)
    unknown = _place_unknown_lines(histories, records)
    problems = dict.fromkeys(problem for history in histories for problem in history.problems)
    return History(
        tuple(records),
        tuple(problems),
        tuple(UnknownLine(text, after) for text, after in sorted(unknown.items(), key=lambda item: item[1])),
    )


def missing_lines(known: History, other: History) -> str:
    """Return the lines of `other` that `known` does not have, each once, as text to append to it."""
    lines = {line for line, _ in known.numbered_lines()}
    candidates = dict.fromkeys(line for line, _ in other.numbered_lines())
    return "".join(line for line in candidates if line not in lines)


def _place_unknown_lines(histories: Iterable[History], records: Iterable[BuildRecord]) -> Mapping[str, int]:
    """Return each unknown line with the number of records before it: it follows the record that it followed."""
    anchors = [
        (line.text, history.records[line.after - 1] if line.after else None)
        for history in histories
        for line in history.unknown_lines
    ]
    wanted = {record.line() for _, record in anchors if record}
    keys = {record.key for _, record in anchors if record}
    places = {
        line: place
        for place, record in enumerate(records, 1)
        if record.key in keys and (line := record.line()) in wanted
    }
    unknown: dict[str, int] = {}
    for text, record in anchors:
        unknown.setdefault(text, places[record.line()] if record else 0)
    return unknown


def _rank(record: BuildRecord) -> int:
    """Rank the records of one attempt: started < marked as interrupted < finished."""
    if not record.finished:
        return 0
    # Another run may have marked this attempt as interrupted although it went on.
    return 1 if record.failure and record.failure.kind == "interrupted" else 2


def _mark_interrupted(record: BuildRecord) -> BuildRecord:
    failure = Failure(kind="interrupted", stage="", message="the run ended before this cell did")
    return record.model_copy(update={"status": "failed", "failure": failure})
