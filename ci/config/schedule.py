"""Define when CI builds which phases, in local time, and convert it to cron's UTC."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from ci.config.fields import Word
from ci.util.model import FrozenModel

Weekday = Literal["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
DAY = 24 * 60  # minutes


class ScheduledRun(FrozenModel):
    """A CI run on a weekday or on a day of each month, at a local time.

    Without phases it builds everything.
    """

    weekday: Weekday | None = None
    day: Annotated[int, Field(ge=1, le=28)] | None = None
    at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    phases: tuple[Annotated[int, Field(ge=1, le=99)], ...] = ()

    @model_validator(mode="after")
    def check_day(self) -> Self:
        """Require either a weekday or a day of the month."""
        if (self.weekday is None) == (self.day is None):
            raise ValueError("give either a weekday or a day of the month")
        return self


class Schedule(FrozenModel):
    """The scheduled runs; `zone` names the local time, which is `utc_offset` hours ahead of UTC."""

    zone: Word = "UTC"
    utc_offset: Annotated[int, Field(ge=-12, le=14)] = 0
    runs: tuple[ScheduledRun, ...] = ()

    @model_validator(mode="after")
    def check_crons(self) -> Self:
        """Require that cron can express each run, and that no two runs start at the same time."""
        crons = [self.format_cron(run) for run in self.runs]
        if twice := {cron for cron in crons if crons.count(cron) > 1}:
            raise ValueError(f"runs: two at the same time: {', '.join(sorted(twice))} in UTC")
        return self

    def format_cron(self, run: ScheduledRun) -> str:
        """Return the start of a run in cron's notation, in UTC.

        >>> Schedule(zone="JST", utc_offset=9).format_cron(ScheduledRun(weekday="Monday", at="02:00"))
        '0 17 * * 0'

        Raises:
            ValueError: the day of the month is another day in UTC, which cron cannot express.
        """
        hour, minute = (int(part) for part in run.at.split(":"))
        days, rest = divmod(hour * 60 + minute - self.utc_offset * 60, DAY)
        time = f"{rest % 60} {rest // 60}"
        if run.weekday:
            return f"{time} * * {(get_args(Weekday).index(run.weekday) + days) % 7}"
        if days:
            raise ValueError(f"runs: day {run.day} at {run.at} {self.zone} is another day in UTC")
        return f"{time} {run.day} * *"

    def describe_run(self, run: ScheduledRun) -> str:
        """Return the local start of a run and its phases: `Monday 02:00 JST: phase 1`."""
        day = run.weekday or f"day {run.day} of the month"
        phases = f"phase {', '.join(map(str, run.phases))}" if run.phases else "everything"
        return f"{day} {run.at} {self.zone}: {phases}"
