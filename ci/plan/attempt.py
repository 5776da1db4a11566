"""Describe attempts at building a stage."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StageAttempt:
    """One attempt at a stage: its number and its compile jobs; None takes what the caller or the machine allows.

    The engine runs a failed step again only if it differs, so the number of a later attempt is part of the step, and
    every stage above must be built with the attempt by which the stage was built.
    """

    jobs: int | None = None
    number: int = 1


FIRST_ATTEMPT = StageAttempt()

Attempts = Mapping[str, StageAttempt]
"""By the names of a plan's stages; one that is missing is at its first attempt."""
