"""Write lines to the user's log: what a module prints is shown by Dagger, with the time since the call began."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ci.util.errors import one_line
from ci.util.units import format_duration

BEAT = 25.0  # seconds between two signs of life
_SHORT = 1.0  # seconds: only the end of a stage that is shorter is said, as of one that is cached
_STILL = "… "  # how they begin: daggerw leaves them out where other lines show life
_LONGEST = 250  # characters


def say(text: str) -> None:
    """Write one line."""
    line = one_line(text)
    print(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…", file=sys.stderr, flush=True)


@contextmanager
def say_stage(name: str, beat: float = BEAT) -> Iterator[None]:
    """Say that a stage begins and how it ends, and every `beat` seconds that it goes on."""
    started, ended = time.monotonic(), threading.Event()
    thread = threading.Thread(target=_say_still, args=(name, started, ended, beat), daemon=True)
    thread.start()
    result = "failed"
    try:
        yield
        result = "done"
    finally:
        ended.set()
        thread.join()
        say(f"{name}: {result} after {format_duration(time.monotonic() - started)}")


def _say_still(name: str, started: float, ended: threading.Event, beat: float) -> None:
    if not ended.wait(_SHORT):
        say(f"{name}: begins")
    while not ended.wait(beat):
        say(f"{_STILL}{name}: {format_duration(time.monotonic() - started)} so far")
