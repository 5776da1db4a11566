"""Try downloads again when the network fails."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
TRIES = 4
PAUSE = 3.0  # seconds


def retry(
    name: str,
    action: Callable[[], T],
    passing: Callable[[Exception], bool],
    tries: int = TRIES,
    pause: float = PAUSE,
) -> T:
    """Call an action until it succeeds, at most `tries` times, and return its result.

    `passing` says which exceptions another try may not see; the others, and that of the last try, are raised.
    """
    for left in reversed(range(tries)):
        try:
            return action()
        except Exception as error:
            if not left or not passing(error):
                raise
            print(f"{name}: {error}; trying again ({left} left)", file=sys.stderr)
            time.sleep(pause)
    raise ValueError("no tries")
