"""A user's mistake, told in one line with what is accepted and the closest match."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")

# What Dagger's engine appends to its messages, for its own display.
_TRACE = re.compile(r" *\[traceparent:[^\]\s]*\]")


class UserError(Exception):
    """The caller asked for something that cannot be; the message is one line and needs no traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class SweepError(Exception):
    """Cells failed; the message, a report of many lines, tells which and why, and needs no traceback."""


def require_made(value: T | None, message: str) -> T:
    """Return `value`, or raise a UserError with the message if it is None."""
    if value is None:
        raise UserError(message)
    return value


def one_line(text: str) -> str:
    """Fold any text to a single printable line, so that hostile input cannot forge log lines."""
    folded = " ".join(text.split())
    return folded if folded.isprintable() else "".join(c if c.isprintable() else "?" for c in folded)


def error_message(error: Exception) -> str:
    """Return what an error says, without the id of a trace; every error of Dagger's becomes text here."""
    return without_traces(str(error))


def without_traces(text: str) -> str:
    """Leave the ids of traces out of what Dagger's engine says.

    >>> without_traces("not found [traceparent:0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331]")
    'not found'
    """
    return _TRACE.sub("", text)


def quote_value(value: str, limit: int = 60) -> str:
    """Quote a user's value for a message: escaped and cut.

    >>> shown("12.8.2")
    "'12.8.2'"
    """
    return repr(value if len(value) <= limit else value[:limit] + "…")


def require_choice(kind: str, value: str, accepted: Iterable[str]) -> str:
    """Return `value` if it is accepted, else raise a UserError naming the accepted ones and the closest.

    >>> choose("target", "devel", ["devel", "runtime"])
    'devel'
    """
    names = list(accepted)
    if value in names:
        return value
    close = get_close_matches(value[:200], names, n=1, cutoff=0.5)
    hint = f" (did you mean {quote_value(close[0])}?)" if close else ""
    raise UserError(f"unknown {kind} {quote_value(value)}{hint}; accepted: {', '.join(names)}")
