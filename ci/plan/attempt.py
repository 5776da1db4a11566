"""How a stage is tried: with how many compile jobs, and which of its tries it is."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StageAttempt:
    """How a stage is tried; `jobs` None takes what the caller or the machine allows.

    The engine carries out a step that failed again only if it differs, so the number of a later try is part of the
    step, and all that stands on the stage must be built with the effort that the stage came out with.
    """

    jobs: int | None = None
    tried: int = 1


FIRST_ATTEMPT = StageAttempt()

Attempts = Mapping[str, StageAttempt]
"""By the names of a plan's stages; those that are not in it are tried as usual."""
