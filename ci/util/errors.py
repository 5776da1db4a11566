"""Raise errors for users: one line that names the accepted values and the closest match."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar

from ci.util.escape import escape_terminal

T = TypeVar("T")

# Dagger's engine appends this to its messages, for its own display.
_TRACE = re.compile(r" *\[traceparent:[^\]\s]*\]")


class UserError(Exception):
    """A mistake of the caller; the message is one line and is shown without a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class SweepError(Exception):
    """Failed cells; the message is a report of several lines and is shown without a traceback."""


def require_made(value: T | None, message: str) -> T:
    """Return `value`, or raise a UserError with the message if it is None."""
    if value is None:
        raise UserError(message)
    return value


def one_line(text: str) -> str:
    """Fold text to a single printable line, so that hostile input cannot forge log lines."""
    return escape_terminal(text)


def error_message(error: Exception) -> str:
    """Return an error's message without trace ids; every error of Dagger becomes text here."""
    return remove_trace_ids(str(error))


def summarize_error(error: Exception, limit: int = 200) -> str:
    """Return an error's message as one quoted line, cut after `limit` characters.

    >>> summarize_error(ValueError("no route\\nto host"))
    "'no route to host'"
    """
    return quote_value(one_line(error_message(error)), limit)


def remove_trace_ids(text: str) -> str:
    """Remove the trace ids that Dagger's engine appends to messages.

    >>> remove_trace_ids("not found [traceparent:0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331]")
    'not found'
    """
    return _TRACE.sub("", text)


def quote_value(value: str, limit: int = 60) -> str:
    """Quote a user's value for a message: escaped, and cut after `limit` characters.

    >>> quote_value("12.8.2")
    "'12.8.2'"
    """
    return repr(value if len(value) <= limit else value[:limit] + "…")


def require_choice(kind: str, value: str, accepted: Iterable[str]) -> str:
    """Return `value` if it is accepted.

    >>> require_choice("target", "devel", ["devel", "runtime"])
    'devel'

    Raises:
        UserError: it is not; the message names the accepted values and the closest of them.
    """
    names = list(accepted)
    if value in names:
        return value
    raise UserError(
        f"unknown {kind} {quote_value(value)}{suggest(value, names)}; accepted: {', '.join(names)}"
    )


def suggest(value: str, names: Iterable[str]) -> str:
    """Return a hint at the closest name for a misspelt value, empty if all are too different.

    >>> suggest("devell", ["devel", "runtime"])
    " (did you mean 'devel'?)"
    """
    close = get_close_matches(value[:200], list(names), n=1, cutoff=0.5)
    return f" (did you mean {quote_value(close[0])}?)" if close else ""
