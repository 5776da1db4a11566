"""What daggerw says: one line at a time, on stderr."""

import os
import sys


class EngineError(Exception):
    """Something that the user can read in one line and do something about."""


def warn(message: str) -> None:
    """News that matters whatever was asked: it touches the system, or takes a while."""
    print(f"daggerw: {message}", file=sys.stderr, flush=True)


def info(message: str) -> None:
    """The line that each call prints, which CSLR_IMAGES_QUIET=1 silences."""
    if os.environ.get("CSLR_IMAGES_QUIET") != "1":
        warn(message)
