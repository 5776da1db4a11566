"""Order the records of several histories by time, though clocks are wrong and set back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from ci.history.records import BuildRecord

Moment = tuple[str, str]  # seconds and their fraction, to be compared as text
_MOST_EQUAL = 8  # records of one attempt, status and moment that are compared one by one


@dataclass
class _Entry:
    """A record that stands once or more in some histories, and its time."""

    record: BuildRecord
    time: Moment


def order_records(histories: Sequence[Sequence[BuildRecord]], now: str) -> list[BuildRecord]:
    """Return each record once, ordered by start, but the tries of a run at a cell by their number.

    A record that is dated later than `now` was written by a wrong clock: it counts as begun just before what was
    written after it. Without `now`, it is a record that is dated more than a day later than what was written last.
    """
    limit = parse_moment(now) if now else _guess_limit(histories)
    entries = _Entries()
    for records in histories:
        found = [entries.add(record) for record in records]
        latest = limit
        for entry in reversed(found):
            if (moment := parse_moment(entry.record.started)) <= limit:
                latest = min(latest, moment)
            else:
                entry.time = min(entry.time, latest)
    return [entry.record for entry in _sort(entries.listed)]


def _guess_limit(histories: Iterable[Sequence[BuildRecord]]) -> Moment:
    last = max((parse_moment(records[-1].started) for records in histories if records), default=("", ""))
    if not last[0] or last[0] >= "9999-12-31":
        return ("9999-12-31T23:59:59", "9")
    day = date.fromisoformat(last[0][:10]) + timedelta(days=1)
    return f"{day.isoformat()}{last[0][10:]}", last[1]


def parse_moment(started: str) -> Moment:
    """Return a time in ISO 8601 for comparisons: as plain text, "00Z" would come after "00.5Z"."""
    whole, _, fraction = started.removesuffix("Z").partition(".")
    return whole, fraction.rstrip("0")


class _Entries:
    """Collect records, each once."""

    def __init__(self) -> None:
        self.listed: list[_Entry] = []
        self._alike: dict[object, list[_Entry]] = {}
        self._lines: dict[str, _Entry] = {}

    def add(self, record: BuildRecord) -> _Entry:
        """Add a record, and return its entry: that of the same record, if there was one."""
        # A line takes long to write, so it is compared only where many records are nearly the same.
        alike = self._alike.setdefault((record.key, record.status, record.started), [])
        for entry in alike:
            if entry.record == record:
                return entry
        line = record.line() if len(alike) >= _MOST_EQUAL else ""
        if line and line in self._lines:
            return self._lines[line]
        entry = _Entry(record, parse_moment(record.started))
        self.listed.append(entry)
        if line:
            self._lines[line] = entry
        else:
            alike.append(entry)
        return entry


def _sort(entries: Iterable[_Entry]) -> list[_Entry]:
    """Sort entries by time; of a run at a cell a try is no later than the next one, whatever the clock said."""
    groups: dict[tuple[str, str], list[_Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.record.run, entry.record.cell), []).append(entry)
    for group in groups.values():
        group.sort(key=lambda one: one.record.attempt)
        earliest = max(entry.time for entry in group)
        # Tries of the same number may be in any order.
        for _, same in groupby(reversed(group), key=lambda one: one.record.attempt):
            tries = list(same)
            for entry in tries:
                entry.time = min(entry.time, earliest)
            earliest = min(entry.time for entry in tries)
    ordered = sorted(entries, key=lambda one: one.time)
    # At equal times, the tries of a group share the places that they have among the others.
    waiting: dict[object, list[_Entry]] = {}
    for entry in reversed(ordered):
        waiting.setdefault(_tie(entry), []).append(entry)
    for tied in waiting.values():
        tied.sort(key=lambda one: -one.record.attempt)  # they are taken from the end
    return [waiting[_tie(entry)].pop() for entry in ordered]


def _tie(entry: _Entry) -> object:
    return entry.time, entry.record.run, entry.record.cell
