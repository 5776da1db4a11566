"""Decide whether a failed step is tried again, when, and how."""

from dataclasses import dataclass, replace

from ci.history.failures import POLICIES
from ci.history.records import Failure
from ci.plan.attempt import StageAttempt


@dataclass(frozen=True)
class Retry:
    """A further try of a step, after a pause in seconds; `note` is for the record.

    `attempt` is how its stage is tried, or None if the step belongs to no stage.
    """

    attempt: StageAttempt | None
    pause: float
    note: str


def plan_retry(failure: Failure, tries: int, attempt: StageAttempt | None, jobs: int) -> Retry | None:
    """Return the next try of a step that failed `tries` times; None if a retry cannot help.

    `attempt` is how the step's stage was tried last; `jobs` is the number of compile jobs if the attempt names none.
    """
    policy = POLICIES[failure.kind]
    if tries >= policy.tries:
        return None
    pause = policy.pause * 2 ** (tries - 1)
    note = f"{failure.kind}, tried again"
    if not policy.halves_jobs:
        return Retry(attempt and replace(attempt, number=attempt.number + 1), pause, note)
    if attempt is None:
        return None
    half = (attempt.jobs or jobs) // 2
    if half < 1:
        return None
    # The engine sees a different step already, so the try needs no number of its own.
    return Retry(StageAttempt(jobs=half), pause, f"{note} with {half} compile job{'s' if half > 1 else ''}")
