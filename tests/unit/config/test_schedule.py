"""The schedule: a local time and its cron line are the same moment, and what cron cannot express is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.config.matrix import default_matrix
from ci.config.schedule import Schedule, ScheduledRun
from ci.util.errors import UserError
from ci.util.model import load_model, parse_toml
from tests.unit.plans import matrix_with

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def schedule(text: str) -> Schedule:
    """Read a schedule."""
    return load_model(parse_toml(text, "schedule"), Schedule, "schedule")


@given(st.sampled_from(DAYS), st.integers(0, 23), st.integers(0, 59), st.integers(-12, 14))
def test_cron_names_the_moment_that_the_local_clock_shows(
    weekday: str, hour: int, minute: int, offset: int
) -> None:
    run = {"weekday": weekday, "at": f"{hour:02}:{minute:02}"}
    found = Schedule.model_validate({"zone": "here", "utc_offset": offset, "runs": (run,)})
    minutes, hours, _, _, day = found.format_cron(found.runs[0]).split()
    sunday = datetime(2026, 11, 1, tzinfo=UTC)
    moment = sunday + timedelta(days=int(day), hours=int(hours), minutes=int(minutes))
    local = moment.astimezone(timezone(timedelta(hours=offset)))
    assert (local.strftime("%A"), local.hour, local.minute) == (weekday, hour, minute)


def test_a_day_of_the_month_stays_the_same_day_in_utc() -> None:
    found = schedule('zone = "JST"\nutc_offset = 9\nruns = [{ day = 1, at = "09:00" }]')
    assert found.format_cron(found.runs[0]) == "0 0 1 * *"
    with pytest.raises(UserError, match="day 1 at 08:59 JST is another day in UTC"):
        schedule('zone = "JST"\nutc_offset = 9\nruns = [{ day = 1, at = "08:59" }]')


@pytest.mark.parametrize("run", ['at = "02:00"', 'at = "02:00", day = 1, weekday = "Monday"'])
def test_a_run_has_one_kind_of_day(run: str) -> None:
    with pytest.raises(UserError, match="either a weekday or a day of the month"):
        schedule(f"runs = [{{ {run} }}]")


def test_two_runs_at_one_time_are_refused_for_ci_could_not_tell_them_apart() -> None:
    with pytest.raises(UserError, match="two at the same time: 0 17 \\* \\* 0 in UTC"):
        schedule(
            'utc_offset = 9\nruns = [{ weekday = "Monday", at = "02:00" }, { weekday = "Monday", at = "02:00" }]'
        )


def test_a_phase_that_no_pair_has_is_refused() -> None:
    with pytest.raises(UserError, match="no pair has phase 9; phases: 1, 2, 3, 4, 5"):
        matrix_with('[schedule]\nruns = [{ weekday = "Monday", at = "02:00", phases = [9] }]')


def test_the_schedule_is_the_one_that_the_users_asked_for() -> None:
    found = default_matrix().schedule
    assert [found.describe_run(run) for run in found.runs] == [
        "Monday 02:00 JST: phase 1",
        "Wednesday 02:00 JST: phase 2",
        "Friday 02:00 JST: phase 3",
        "day 1 of the month 10:00 JST: everything",
    ]
    assert [found.format_cron(run) for run in found.runs] == [
        "0 17 * * 0",
        "0 17 * * 2",
        "0 17 * * 4",
        "0 1 1 * *",
    ]


def test_the_description_of_a_run_names_its_phases() -> None:
    run = ScheduledRun(weekday="Monday", at="02:00", phases=(2, 3))
    assert Schedule().describe_run(run) == "Monday 02:00 UTC: phase 2, 3"
