"""What kind of failure a failed step is, from its exit code and output, and what is done about each kind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ci.history.records import Failure, Kind
from ci.util.errors import one_line

TAIL = 15  # lines of output that a record keeps
LENGTH = 300  # characters of a line that a record keeps
SIGKILL = 137  # 128 + 9: how a shell reports a process that the kernel ended, as it does when memory is out
CRASHES = (134, 135, 139)  # SIGABRT, SIGBUS, SIGSEGV: what a program ends itself by that has lost its way

_LINES = 2000  # of output that are looked at, from its end: what ended a step stands there
_WIDTH = 4000  # characters of a line that are looked at
_PART = 140  # characters of an error and of each of its causes that a message has


@dataclass(frozen=True)
class RetryPolicy:
    """What is done about a kind of failure.

    `tries` counts the first one; `pause` is the time in seconds before the second, twice that before the third, and so
    on; `halves_jobs` tells whether each further try has half the compile jobs; `advice` is for the user, where there
    is any.
    """

    tries: int = 1
    pause: float = 0.0
    halves_jobs: bool = False
    advice: str = ""


POLICIES: dict[Kind, RetryPolicy] = {
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
    # Seen of uv, once in a sweep: the same command worked afterwards.
    "crash": RetryPolicy(
        tries=2, advice="a program crashed twice: it has a bug, or the machine's memory does"
    ),
    "compile-error": RetryPolicy(advice="the compiler's first error stands above"),
    "verification": RetryPolicy(
        advice="the image was built and does not do what it promises; it is not published"
    ),
    "engine-gone": RetryPolicy(advice="the engine ended: run again, what was finished is kept"),
    "interrupted": RetryPolicy(advice="run again: it goes on from where it ended"),
    "gate": RetryPolicy(advice="the image is larger than [gates] in matrix.toml allows"),
    "registry": RetryPolicy(advice="the registry refused: look at the address and the credentials"),
    "bug": RetryPolicy(advice="this is a bug of cslr-images: please report it"),
    "unknown": RetryPolicy(),
}

# The first sign that a line shows decides, so what says most about the cause stands first. A wrong hash must never be
# taken for a network fault, for that would be retried; a full disk makes compilers and downloads fail in many ways; a
# missing file (404) or a refused login (401) comes in the words of a failed download, and trying again helps neither.
_PASSING = r"(?:408|425|429|500|502|503|504)"  # HTTP statuses that another try may not see
_COMPILER = r"(?:cc1(?:plus)?|g?cc|[gc]\+\+|clang(?:\+\+)?|collect2)"

Patterns = tuple[tuple[Kind, tuple[str, ...]], ...]

# Whatever else was said, these are the cause.
_CAUSES: Patterns = (
    ("verification", (r"\b\d+ of \d+ checks failed",)),  # and then what the failed ones printed
    (
        "hash-mismatch",
        (
            r"hash mismatch",
            r"hash sum mismatch",
            r"do not match the hashes",
            r"\.(?:whl|tar\.\w+|jar|deb|conda): FAILED$",
            r"computed checksums? did not match",
            r"checksums? mismatch",
            r"digest mismatch",
            r"unexpected commit digest",
            r"sha256 is \w+, the recipe says",  # make_channel.py
            r"is not what its channel or the lock says",  # make_env.py
        ),
    ),
    ("disk-full", (r"no space left on device", r"disk quota exceeded", r"\bENOSPC\b")),
)

_MEMORY: Patterns = (
    (
        "out-of-memory",
        (
            r"killed signal terminated program",
            r"internal compiler error: Killed",
            r"terminated with signal 9\b",
            r"died due to signal 9\b",
            r"signal: 9, SIGKILL",
            r"died with <Signals\.SIGKILL",
            r": line \d+: +\d+ Killed\b",
            r"^\s*Killed$",
            r"\bexit (?:code|status):? 137\b",
            r"^FAILED: \[code=137\]",
            r"virtual memory exhausted",
            r": memory exhausted",
            r"cannot allocate memory",
            r"std::bad_alloc",
            r"out of memory allocating \d",
            r"LLVM ERROR: out of memory",
            r"runtime: out of memory",
            # Not OutOfMemoryError: that is a GPU's memory, and fewer compile jobs do not help.
            r"^\s*(?:\w+\.)*_?(?:Array)?MemoryError\b",
            r"a compiler was killed",  # compile_wheels.py
        ),
    ),
)

# What the engine or its client says where no command has failed. It comes in words of networks, so it stands before.
_ENGINE: Patterns = (
    ("interrupted", (r"\bcontext canceled\b",)),
    (
        "engine-gone",
        (
            r"\bcode = Unavailable\b",
            r"error reading (?:from server|server preface)",
            r"Post \"http://dagger/query\"",
            r"failed to get requester session",
            r"buildkitd\.sock",
            r"Server disconnected without sending",
            r"All connection attempts failed",
        ),
    ),
)

_STEP: Patterns = (
    (
        "compile-error",
        (
            r"(?:^|\s)[^\s:]+:\d+(?::\d+)?: (?-i:(?:fatal |internal compiler )?error: )",  # gcc, clang
            r"\(\d+\): (?:catastrophic |internal )?error(?: #[\w-]+)?: ",  # nvcc's front end
            rf"^\s*(?:\S*/)?(?:[\w-]+-)?{_COMPILER}(?:-\d+)?: (?:fatal )?error: ",
            r"undefined reference to",
            r"\bld: cannot find ",
            r"no such instruction",
            r"\bnvcc fatal",
            r"\b(?:ptxas|nvlink) +(?:fatal|error)",
        ),
    ),
    (
        "registry",
        (
            r"failed to (?:resolve|pull|push|authorize)\b.*(?:not found|\b40[13] \w|unauthorized|denied)",
            r"\b40[13] (?:Unauthorized|Forbidden)",
            r"HTTP error:? 40[13]\b",
            r"returned error: 40[13]\b",
            r"\b(?:manifest|name)[ _]unknown\b",
            r"\bUNAUTHORIZED: ",
            r"\bdenied: requested",
            r"pull access denied",
            r": denied$",
            r"insufficient_scope",
            r"no basic auth credentials",
            r"^User for \S+: ",  # pip asks at a terminal that is not there
        ),
    ),
    (
        "missing-wheel",
        (r"\b404 +Not Found", r"HTTP error:? 404\b", r"returned error: 404\b", r"response status:? 404\b"),
    ),
    # pip and apt go on after a fault of the network, and then find nothing in the index that they have not read.
    (
        "network",
        (
            r"Retrying \(Retry\(total=0\b",
            r"^W: Failed to fetch ",
            r"^Could not fetch URL \S+ .*max retries exceeded",
        ),
    ),
    (
        "missing-wheel",
        (
            r"No solution found when resolving",
            r"No matching distribution found",
            r"Could not find a version that satisfies",
            r"is not a supported wheel on this platform",
            r"Cannot solve the request",
            r"Unable to locate package",
            r"has no installation candidate",
            r"E: Version '[^']*' for '[^']*' was not found",
            r"apt-get knows none of",  # make_channel.py
        ),
    ),
    # No fault of the network: an authority that the machine does not know, or a wrong clock. Time mends neither.
    (
        "unknown",
        (
            r"invalid peer certificate",
            r"certificate verify failed",
            r"\bx509: ",
            r"self[- ]signed certificate",
        ),
    ),
    (
        "network",
        (
            r"could not resolve (?:host|')",
            r"temporary failure (?:in name resolution|resolving)",
            r"no such host",
            r"name or service not known",
            r"\bdns error\b",
            r"getaddrinfo failed",
            r"connection (?:refused|reset by peer|timed out|aborted|closed before message|broken by)",
            r"(?:couldn't|could not|unable to) connect to",
            r"failed to establish a new connection",
            r"network is unreachable",
            r"no route to host",
            r"max retries exceeded",
            r"(?:read|request|operation|connect) timed out",
            r"i/o timeout",
            r"TLS handshake timeout",
            r"network timeout",
            r"(?:Read|Connect)Timeout(?:Error)?\b",
            r"timeout was reached",
            r"context deadline exceeded",
            r": unexpected EOF$",
            r"IncompleteRead",
            r"RemoteDisconnected",
            r"remote end closed connection",
            r"peer closed connection",
            r"error sending request",
            r"error decoding response body",
            r"\bFailed to fetch\b",
            rf"\b{_PASSING} +(?:Request Time|Too Early|Too Many|Internal Server|Bad Gateway|Service |Gateway Time)",
            rf"(?:HTTP error|returned error|\bstatus|\bstatus code):? {_PASSING}\b",
            r"TOOMANYREQUESTS",
        ),
    ),
    # How builds end, whatever ended them.
    (
        "compile-error",
        (
            r"^FAILED: \S",
            r"ninja: build stopped",
            r"error: command \S+ failed",
            r"^CMake Error",
            r"^\s*make(?:\[\d+\])?: \*\*\* ",
            r"Failed building wheel",
            r"Failed to build\b",
        ),
    ),
)

Compiled = tuple[tuple[Kind, re.Pattern[str]], ...]


def _compiled(signs: Patterns) -> Compiled:
    return tuple((kind, re.compile("|".join(patterns), re.IGNORECASE)) for kind, patterns in signs)


_OF_A_STEP = _compiled(_CAUSES + _MEMORY + _STEP)
_OF_THE_ENGINE = _compiled(_CAUSES + _ENGINE + _MEMORY + _STEP)
# A killed process says nothing of its end; of what was said before, only these can be the cause. The engine kills
# steps that nobody waits for any more, and says so.
_OF_A_KILLED_STEP = _compiled(_CAUSES + _ENGINE[:1])

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]{1,300}@")

# What quotes others' words is no sign: warnings of compilers and of Python, and source code with its marks below them.
_QUOTES = re.compile(
    r"^\s*\d+ \|(?:\s|$)|^\s+\|[\s|^~]*$|(?:^|[\s:)])[Ww]arning ?(?:#[\w-]+)?: |: (?:note|remark): "
    r"|^\S+\.py:\d+: \w*Warning: "
)

_CAUSE = re.compile(r"^\s*(?:cause:|caused by:|[├╰]─▶|│)\s*", re.IGNORECASE)  # uv's and Rust's chains
_HEAD = re.compile(
    "^\\s*(?:error: |ERROR: |\u00d7 )"
)  # before a chain, uv puts a multiplication sign or a word
_ERROR = re.compile(r"\b(?:error|fatal|failed|failure|exception|cannot|abort)", re.IGNORECASE)


def classify_failure(
    stage: str, output: str, *, exit_code: int | None = None, command: str = "", message: str = ""
) -> Failure:
    """Tell what kind of failure a failed step is.

    `output` is all that the step printed; of it a record keeps the end. Without an exit code it was no command that
    failed but the engine's own work, such as fetching an image, and `message` is what the engine said.

    >>> triage("torch", "error: Failed to fetch: connection refused", exit_code=2).kind
    'network'
    >>> triage("base", "", message="failed to resolve image: dial tcp 127.0.0.1:9: connection refused").kind
    'network'
    """
    printed, said = _lines(output), _lines(message)
    lines = [*said, *printed] if exit_code is None else [*printed, *said]
    kind, place = _found(lines, exit_code)
    if place is not None:
        telling = _chain(lines, place)
    elif exit_code == SIGKILL:
        telling = f"killed (exit status {SIGKILL})" + (f"; its last line: {printed[-1]}" if printed else "")
    else:
        telling = _last_error(said if exit_code is None and said else printed or said)
    return Failure(
        kind=kind,
        stage=stage,
        message=_clipped(telling or ("" if exit_code is None else f"exit status {exit_code}")),
        command=_clipped(command),
        exit_code=exit_code,
        tail=tuple(_clipped(line) for line in printed[-TAIL:]),
    )


def failure_kind(text: str, exit_code: int | None = None) -> Kind:
    """Name the kind of a failure by all that was said about it.

    >>> kind_of("g++: fatal error: Killed signal terminated program cc1plus", 1)
    'out-of-memory'
    """
    return _found(_lines(text), exit_code)[0]


def _lines(text: str) -> list[str]:
    """Return the last lines that say something, without the colours of a terminal."""
    lines = (line.rstrip() for line in _ESCAPES.sub("", text).splitlines())
    kept = [line for line in lines if line.strip()][-_LINES:]
    half = _WIDTH // 2
    return [line if len(line) <= _WIDTH else f"{line[:half]} … {line[-half:]}" for line in kept]


def _found(lines: Sequence[str], exit_code: int | None) -> tuple[Kind, int | None]:
    """Return the kind, and the place of the line that shows it, if one does."""
    signs = {SIGKILL: _OF_A_KILLED_STEP, None: _OF_THE_ENGINE}.get(exit_code, _OF_A_STEP)
    evidence = [(place, line) for place, line in enumerate(lines) if not _QUOTES.search(line)]
    for kind, pattern in signs:
        for place, line in evidence:
            if pattern.search(line):
                return kind, place
    if exit_code == SIGKILL:
        return "out-of-memory", None
    return "crash" if exit_code in CRASHES else "unknown", None


def _chain(lines: Sequence[str], place: int) -> str:
    """Return a line with what it stands with: the error that it is a cause of, and that error's causes."""
    start = place
    while start and _CAUSE.match(lines[start]):
        start -= 1
    parts = [lines[start].strip()]
    heads = _HEAD.match(lines[start])
    for line in lines[start + 1 : start + 20]:
        # Below an error what is indented belongs to it, but for the output of another program.
        belongs = _CAUSE.match(line) or (heads and line.startswith("    "))
        if not belongs or line.strip().startswith("[std"):
            break
        parts.append(_CAUSE.sub("", line).strip())
    if len(parts) == 1:
        return parts[0]
    return ": ".join((part if len(part) <= _PART else f"{part[:_PART]}…").rstrip(".:") for part in parts)


def _last_error(lines: Sequence[str]) -> str:
    """Return the last line that speaks of an error, else the last one."""
    own = [line for line in lines if not _QUOTES.search(line)] or lines
    return next((line for line in reversed(own) if _ERROR.search(line)), own[-1] if own else "")


def _clipped(text: str) -> str:
    """Fold a text to one printable line of bounded length, with no credentials in its addresses."""
    line = one_line(_CREDENTIALS.sub("***@", text))
    # The end of a chain of causes says why.
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 61]}…{line[-60:]}"
