"""Print daggerw's messages, one line each, to stderr."""

import os
import sys


class EngineError(Exception):
    """An error that is shown to the user as one line."""


def warn(message: str) -> None:
    """Print a message, also if CSLR_IMAGES_QUIET is set."""
    print(f"daggerw: {message}", file=sys.stderr, flush=True)


def info(message: str) -> None:
    """Print a message, unless CSLR_IMAGES_QUIET=1 is set."""
    if os.environ.get("CSLR_IMAGES_QUIET") != "1":
        warn(message)
