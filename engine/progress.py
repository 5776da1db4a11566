"""Show of dagger's plain progress what a person reads; all of it goes to a file.

Dagger prints a line or more for each call of its API, about 1,000 for an image. Here a line stays if it is the user's
own step, something that the module or one of its programs says, or an error. Nothing is shown for each cached step.
"""

import re
import textwrap
from collections import deque
from collections.abc import Callable, Collection

WIDTH = 300  # characters of a line that is shown: a longer one is cut, but an error goes on in the next
SILENCE = 30.0  # seconds after which a line says that the work goes on
# A module's sign of life, which begins so, is dropped if another line was shown in the last seconds.
STILL, NOT_SILENT = "… ", 20.0
KEPT = 30  # last lines of a step that are shown if it fails

COLORS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STEP = re.compile(r"(\d+) *: ((?:┆ )*)(.*)", re.DOTALL)
_LOG = re.compile(r"\[((?:\d+[dhm])*\d+(?:\.\d+)?m?s)\] \| ?(.*)", re.DOTALL)
_END = re.compile(r"(.*) (DONE|CACHED|ERROR) \[([^]]*)\].*", re.DOTALL)
_PROGRAM = re.compile(r"([a-z_]+): ")
# A call of Dagger's API as its progress shows it: `withExec sh …`, `Container.withFile(…`. A call of the module's own
# functions looks like one too.
_CALL = re.compile(r"with[A-Z]\w*\b|[A-Z]\w*\.\w+|user \S+$|expose \S+$")
# Seen where the folder of the engine's state was removed in part.
_DAMAGED = re.compile(r'failed to create snapshot: missing parent ".*" bucket: not found')
# What dagger does itself before the user's first step: shown only if it fails.
_QUIET = re.compile(r"connect$|parsing command line arguments$|cslrImages\b")


class ProgressFilter:
    """Choose the lines to show, one line after the other.

    `programs` are the names of programs whose lines are shown, `clock` is a monotonic clock in seconds.
    """

    def __init__(self, programs: Collection[str], clock: Callable[[], float]) -> None:
        self._programs = programs
        self._clock = clock
        self._names: dict[str, str] = {}  # steps by the number that dagger gives them
        self._held: dict[str, deque[str]] = {}  # their last lines that were not shown
        self._errors: set[str] = set()
        self.damaged = False  # whether dagger has said that files of the engine's cache are missing
        self._root = ""  # the last step of the user's own
        self._root_started = self._shown = clock()

    def feed(self, line: str) -> list[str]:
        """Return the lines to show for a line of the progress."""
        text = _CONTROLS.sub("", COLORS.sub("", line.rstrip("\r\n"))).rstrip()
        self.damaged = self.damaged or bool(_DAMAGED.search(text))
        step = _STEP.fullmatch(text)
        if step is None:
            return self._show_whole(text) if text else []
        number, depth, rest = step[1], len(step[2]) // 2, step[3].lstrip("┆ ")
        if log := _LOG.fullmatch(rest):
            return self._feed_log(number, depth, log[1], log[2])
        if rest.startswith("! "):
            return self._show_once(rest)
        if end := _END.fullmatch(rest):
            return self._feed_end(number, depth, end)
        return self._feed_start(number, depth, rest)

    def tick(self) -> list[str]:
        """Return a sign of life if nothing was shown for `SILENCE` seconds."""
        now = self._clock()
        if now - self._shown < SILENCE:
            return []
        name = self._root.partition("(")[0] or "dagger"
        return self._show(f"{STILL}{name}: {format_seconds(now - self._root_started)} so far")

    def _feed_start(self, number: str, depth: int, name: str) -> list[str]:
        # A step is named again wherever a line of another one was between; an argument has the number of its step.
        if number in self._names:
            return []
        self._names[number] = name
        if depth:
            return []
        self._root, self._root_started = name, self._clock()
        return [] if _QUIET.match(name) else self._show(name)

    def _feed_log(self, number: str, depth: int, moment: str, text: str) -> list[str]:
        name = self._names.get(number, "")
        if _QUIET.match(self._root):
            return self._hold(number, text)
        if name.startswith("CslrImages."):
            quiet = text.startswith(STILL) and self._clock() - self._shown < NOT_SILENT
            return [] if quiet else self._show(f"[{moment}] {text}")
        program = _PROGRAM.match(text)
        if depth == 0 or not _CALL.match(name) or (program and program[1] in self._programs):
            return self._show(text)
        return self._hold(number, text)

    def _feed_end(self, number: str, depth: int, end: re.Match[str]) -> list[str]:
        name, result, seconds = end.groups()
        if result == "ERROR":
            held = self._held.pop(number, ())
            shown = [line for text in held for line in self._show(f"| {text}")]
            return [*shown, *self._show_once(f"failed after {seconds}: {self._names.get(number, name)}")]
        if depth or _QUIET.match(name):
            return []
        return self._show(f"{name.partition('(')[0]}: done in {seconds}")

    def _hold(self, number: str, text: str) -> list[str]:
        self._held.setdefault(number, deque(maxlen=KEPT)).append(text)
        return []

    def _show_once(self, text: str) -> list[str]:
        # Each step around one that failed repeats its message.
        if text in self._errors:
            return []
        self._errors.add(text)
        return self._show_whole(text)

    def _show_whole(self, text: str) -> list[str]:
        return [line for part in textwrap.wrap(text, WIDTH) for line in self._show(part)]

    def _show(self, text: str) -> list[str]:
        self._shown = self._clock()
        return [text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"]


def format_seconds(seconds: float) -> str:
    """Return a duration in whole seconds.

    >>> format_seconds(9), format_seconds(65), format_seconds(3725)
    ('9 s', '1 min 5 s', '1 h 2 min')
    """
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
