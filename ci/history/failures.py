"""Classify failures by exit code and output, and define what is done about each kind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ci.history.failure_patterns import ENGINE_PATTERNS, KILLED_STEP_PATTERNS, QUOTES, STEP_PATTERNS
from ci.history.records import Failure, FailureKind
from ci.util.errors import one_line

TAIL = 15  # lines of output kept in a record
LENGTH = 300  # characters of a line kept in a record
SIGKILL = 137  # 128 + 9: the exit code of a process killed by the kernel, usually because memory ran out
CRASHES = (134, 135, 139)  # SIGABRT, SIGBUS, SIGSEGV

_MOST_LINES = 2000  # of output that are searched, from its end, where the cause usually is
_MOST_WIDTH = 4000  # characters of a line that are searched
_MOST_TEXT = 2_000_000  # characters of output that are searched, from its end
_PART = 140  # characters of an error, and of each of its causes, in a message


class StageError(Exception):
    """A stage of a cell failed; `failure` describes it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class RetryPolicy:
    """How often a kind of failure is retried, and the advice for the user.

    `tries` includes the first one. `pause` is the time in seconds before the second try; it doubles with each further
    one. With `halves_jobs` each further try has half the compile jobs.
    """

    tries: int = 1
    pause: float = 0.0
    halves_jobs: bool = False
    advice: str = ""


POLICIES: dict[FailureKind, RetryPolicy] = {
    "network": RetryPolicy(
        tries=4, pause=2.0, advice="the network or an index did not answer: run again later"
    ),
    "out-of-memory": RetryPolicy(tries=3, halves_jobs=True, advice="give --jobs a smaller number"),
    "missing-wheel": RetryPolicy(advice="the index has no such release for this Python: see `plan`"),
    "hash-mismatch": RetryPolicy(
        advice="what was downloaded is not what the lock says: do not trust it; look at the mirror"
    ),
    "disk-full": RetryPolicy(
        advice="free disk space: `./daggerw core engine local-cache prune`, or `./daggerw clean`"
    ),
    # Seen once with uv during a sweep: the same command worked afterwards.
    "crash": RetryPolicy(
        tries=2, advice="a program crashed twice: it has a bug, or the machine's memory does"
    ),
    "compile-error": RetryPolicy(advice="the compiler's first error stands above"),
    "verification": RetryPolicy(advice="the image was built and fails a check; it is not published"),
    "engine-gone": RetryPolicy(advice="the engine ended: run again, what was finished is kept"),
    "interrupted": RetryPolicy(advice="run again: it goes on from where it ended"),
    "gate": RetryPolicy(advice="the image is larger than [gates] in matrix.toml allows"),
    "registry": RetryPolicy(advice="the registry refused: look at the address and the credentials"),
    "bug": RetryPolicy(advice="this is a bug of cslr-images: please report it"),
    "unknown": RetryPolicy(),
}

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]{1,300}@")

_CAUSE = re.compile(r"^\s*(?:cause:|caused by:|[├╰]─▶|│)\s*", re.IGNORECASE)  # in error chains of uv and Rust
# uv begins an error chain with a multiplication sign or a word.
_CHAIN_HEAD = re.compile("^\\s*(?:error: |ERROR: |\u00d7 )")
_ERROR = re.compile(r"\b(?:error|fatal|failed|failure|exception|cannot|abort)", re.IGNORECASE)


def classify_failure(
    stage: str, output: str, *, exit_code: int | None = None, command: str = "", message: str = ""
) -> Failure:
    """Classify the failure of a step by its exit code and output.

    `output` is everything that the step printed; its last lines go into the record. No exit code means that it was
    not a command that failed but the engine, for example while it pulled an image; `message` is the engine's error.

    >>> classify_failure("torch", "error: Failed to fetch: connection refused", exit_code=2).kind
    'network'
    >>> classify_failure("base", "", message="failed to resolve image: connection refused").kind
    'network'
    """
    printed, reported = _last_lines(output), _last_lines(message)
    lines = [*reported, *printed] if exit_code is None else [*printed, *reported]
    kind, place = _find_cause(lines, exit_code)
    if place is not None:
        summary = _describe_error(lines, place)
    elif exit_code == SIGKILL:
        summary = f"killed (exit status {SIGKILL})" + (f"; its last line: {printed[-1]}" if printed else "")
    else:
        summary = _last_error(reported if exit_code is None and reported else printed or reported)
    return Failure(
        kind=kind,
        stage=stage,
        message=_shorten(summary or ("" if exit_code is None else f"exit status {exit_code}")),
        command=_shorten(command),
        exit_code=exit_code,
        tail=tuple(_shorten(line) for line in printed[-TAIL:]),
    )


def _last_lines(text: str) -> list[str]:
    """Return the last lines that are not blank, without terminal colours."""
    lines = (line.rstrip() for line in _ESCAPES.sub("", text[-_MOST_TEXT:]).splitlines())
    kept = [line for line in lines if line.strip()][-_MOST_LINES:]
    half = _MOST_WIDTH // 2
    return [line if len(line) <= _MOST_WIDTH else f"{line[:half]} … {line[-half:]}" for line in kept]


def _find_cause(lines: Sequence[str], exit_code: int | None) -> tuple[FailureKind, int | None]:
    """Return the kind of failure, and the index of the line that shows it, if there is one."""
    patterns = {SIGKILL: KILLED_STEP_PATTERNS, None: ENGINE_PATTERNS}.get(exit_code, STEP_PATTERNS)
    evidence = [(place, line, line.lower()) for place, line in enumerate(lines) if not QUOTES.search(line)]
    for kind, shown_by in patterns:
        for place, line, lowered in evidence:
            if any(one.shows(line, lowered) for one in shown_by):
                return kind, place
    if exit_code == SIGKILL:
        return "out-of-memory", None
    return "crash" if exit_code in CRASHES else "unknown", None


def _describe_error(lines: Sequence[str], place: int) -> str:
    """Return a line with the error chain that it is part of: the error first, then its causes."""
    start = place
    while start and _CAUSE.match(lines[start]):
        start -= 1
    parts = [lines[start].strip()]
    has_chain = _CHAIN_HEAD.match(lines[start])
    for line in lines[start + 1 : start + 20]:
        # Indented lines below an error belong to it, except the output of another program.
        belongs = _CAUSE.match(line) or (has_chain and line.startswith("    "))
        if not belongs or line.strip().startswith("[std"):
            break
        parts.append(_CAUSE.sub("", line).strip())
    if len(parts) == 1:
        return parts[0]
    return ": ".join((part if len(part) <= _PART else f"{part[:_PART]}…").rstrip(".:") for part in parts)


def _last_error(lines: Sequence[str]) -> str:
    """Return the last line that mentions an error, else the last line."""
    candidates = [line for line in lines if not QUOTES.search(line)] or lines
    last = candidates[-1] if candidates else ""
    return next((line for line in reversed(candidates) if _ERROR.search(line)), last)


def _shorten(text: str) -> str:
    """Fold a text to one short printable line, without credentials in URLs."""
    line = one_line(_CREDENTIALS.sub("***@", text))
    # The end is kept too: it holds the last cause of an error chain.
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 61]}…{line[-60:]}"
