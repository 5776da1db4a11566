"""Attempts at stages."""

from ci.plan.attempt import FIRST_ATTEMPT, StageAttempt


def test_the_first_attempt_is_number_one_with_the_jobs_that_the_machine_allows() -> None:
    assert (FIRST_ATTEMPT.jobs, FIRST_ATTEMPT.number) == (None, 1)
    assert StageAttempt(jobs=2).number == 1
