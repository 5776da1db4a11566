"""Say what a build will do, and how far it is: for the user's log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ci.history.records import BuildRecord
from ci.plan.plan import Plan
from ci.report.estimate import BuildEstimate, describe_estimate, estimate_build
from ci.session.history import KnownHistory
from ci.session.log import say
from ci.util.units import GB, format_count, format_duration, format_size


def announce_build(plans: Sequence[Plan], known: KnownHistory, *, finishes: bool) -> BuildEstimate:
    """Say which stages will be built, how long it may take, and the disk that it needs; return the estimate."""
    machine = known.machine
    estimate = estimate_build(plans, known.stage_seconds(), machine.cores, finishes=finishes)
    for line in describe_estimate(estimate, cores=machine.cores, free_gb=machine.free_disk / GB):
        say(line)
    return estimate


@dataclass
class CellLog:
    """Say how each cell of a sweep ended, and what is left."""

    estimate: BuildEstimate
    ended: dict[str, BuildRecord] = field(default_factory=dict)

    def add(self, records: Collection[BuildRecord]) -> None:
        """Say a line for each cell that has ended among some records; one that is tried again is left again."""
        for record in records:
            if record.status == "building":
                self.ended.pop(record.cell, None)
                continue
            self.ended[record.cell] = record
            say(self.describe(record))

    def describe(self, record: BuildRecord) -> str:
        """Return the line of a cell: its status, size and time, and what is left."""
        parts = [record.status if record.failure is None else f"failed at {record.failure.stage}"]
        parts += [format_size(record.size)] if record.size is not None else []
        parts += [format_duration(record.seconds)] if record.seconds is not None else []
        left = [cell for cell in self.estimate.cells if cell not in self.ended]
        built = (stage.digest for one in self.ended.values() for stage in one.stages)
        seconds = self.estimate.seconds_left(left, built)
        rest = f"; {format_count(len(left), 'cell', 'cells')} left, about {format_duration(seconds)}"
        return f"{record.cell}: {', '.join(parts)}{rest if left else '; no cell left'}"
