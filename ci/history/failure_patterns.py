"""List the regular expressions that show why a step failed, by kind of failure.

Patterns are tried in order, so the most specific come first. A wrong hash must never count as a network fault, which
would be retried; a full disk makes compilers and downloads fail in many ways; a missing file (404) or a refused login
(401) is worded like a failed download, but a retry cannot help.
"""

import re
from typing import NamedTuple

from ci.history.records import FailureKind

Patterns = tuple[tuple[FailureKind, tuple[str, ...]], ...]


class Evidence(NamedTuple):
    """A pattern, and a text that every line has in which it is found: most lines need not be searched."""

    literal: str
    pattern: re.Pattern[str]

    def shows(self, line: str, lowered: str) -> bool:
        """Return whether a line shows it; `lowered` is the line in small letters."""
        return self.literal in lowered and self.pattern.search(line) is not None


CompiledPatterns = tuple[tuple[FailureKind, tuple[Evidence, ...]], ...]

_UNKNOWN = "\0"
# A character, an escape, a class or a parenthesis, and how often it may occur.
_PARTS = re.compile(r"(?P<atom>\\.|\(\?>|\[(?:\\.|[^\]\\])+\]|[\s\S])(?P<repeated>(?:[?*+]|\{[0-9,]+\})\??)?")
_TRANSIENT = r"(?:408|425|429|500|502|503|504)"  # HTTP statuses that a retry may not see again
_TRANSIENT_WORDS = (
    "Request Time",
    "Too Early",
    "Too Many",
    "Internal Server",
    "Bad Gateway",
    "Service ",
    "Gateway Time",
)
_COMPILER = r"(?:cc1(?:plus)?|g?cc|[gc]\+\+|clang(?:\+\+)?|collect2)"

# These are the cause, whatever else was printed.
_CAUSES: Patterns = (
    (
        "verification",
        (r"\b\d+ of \d+ checks failed",),
    ),  # followed by the output of the failed ones
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
            # Not OutOfMemoryError: that is about GPU memory, where fewer compile jobs do not help.
            r"^\s*(?:\w+\.)*_?(?:Array)?MemoryError\b",
            r"a compiler was killed",  # compile_wheels.py
        ),
    ),
)

# Messages of the engine or its client when no command has failed. They are worded like network faults, so they are
# tried before those.
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
            r"(?>^.*?failed to (?:resolve|pull|push|authorize)\b).*(?:not found|\b40[13] \w|unauthorized|denied)",
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
            r"^User for \S+: ",  # pip prompts, but there is no terminal
        ),
    ),
    (
        "missing-wheel",
        (r"\b404 +Not Found", r"HTTP error:? 404\b", r"returned error: 404\b", r"response status:? 404\b"),
    ),
    # pip and apt continue after a network fault, and then find nothing in the index that they could not read.
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
    # Not network faults: an unknown certificate authority, or a wrong clock. A retry fixes neither.
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
            # One for each word, so that lines without any of them are not searched.
            *(rf"\b{_TRANSIENT} +{words}" for words in _TRANSIENT_WORDS),
            *(
                rf"{words}:? {_TRANSIENT}\b"
                for words in ("HTTP error", "returned error", r"\bstatus", r"\bstatus code")
            ),
            r"TOOMANYREQUESTS",
        ),
    ),
    # The last lines of a failed build, whatever the cause.
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


def _compile(groups: Patterns) -> CompiledPatterns:
    return tuple(
        (kind, tuple(Evidence(find_literal(one), re.compile(one, re.IGNORECASE)) for one in patterns))
        for kind, patterns in groups
    )


def find_literal(pattern: str) -> str:
    """Return the longest text, in small letters, that is in everything that a pattern matches; empty if unknown.

    Groups, classes of characters and what may be left out count as unknown; there is no `|` outside of groups.

    >>> find_literal(r"connection (?:refused|reset)"), find_literal(r"\\bENOSPC\\b"), find_literal("https?: x")
    ('connection ', 'enospc', 'http')
    """
    text, depth = "", 0
    for part in _PARTS.finditer(pattern):
        atom, repeated = part["atom"], part["repeated"]
        depth += atom == "("
        literal = atom[1:] if atom[0] == "\\" and not atom[1].isalnum() else atom
        known = (
            depth == 0
            and len(literal) == 1
            and not (atom in ".^$)" or (repeated or "")[:1] in ("?", "*", "{"))
        )
        text += literal if known else _UNKNOWN
        text += _UNKNOWN if repeated else ""
        depth = max(0, depth - (atom == ")"))  # an atomic group, which must match, counts as none
    return max(text.lower().split(_UNKNOWN), key=len)


STEP_PATTERNS = _compile(_CAUSES + _MEMORY + _STEP)
ENGINE_PATTERNS = _compile(_CAUSES + _ENGINE + _MEMORY + _STEP)
# A killed process prints nothing about its end, and only these can be the cause among the lines before. The engine
# kills steps whose result is not needed any more, and reports that as interrupted.
KILLED_STEP_PATTERNS = _compile(_CAUSES + _ENGINE[:1])

# Lines that quote other text and are no evidence: warnings of compilers and of Python, and source code with the
# compiler's marks below it.
QUOTES = re.compile(
    r"^\s*\d+ \|(?:\s|$)|^\s+\|[\s|^~]*$|(?:^|[\s:)])[Ww]arning ?(?:#[\w-]+)?: |: (?:note|remark): "
    r"|^\S+\.py:\d+: \w*Warning: "
)
