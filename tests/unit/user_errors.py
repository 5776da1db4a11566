"""What a user's mistake must look like, and text that tries to make it look otherwise."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import strategies as st

from ci.util.errors import UserError

T = TypeVar("T")

NASTY = {
    "empty": "",
    "space": " ",
    "newline": "\n",
    "newline after": "runtime\n",
    "a line forged": "12.8.1\nfake: all checks passed",
    "escape": "\r\x1b[2K\x1b[32mok\x1b[0m",
    "null": "\x00",
    "invisible": "\u2028\u202e\u200b\x85",
    "surrogate": "\ud800",
    "other digits": "\u0663.13",
    "substitution": "$(id)",
    "backquotes": "`id`",
    "command": "a; rm -rf /",
    "quotes": "'\"\\",
    "path": "../../etc/passwd",
    "option": "--help",
    "template": "{tag}%s{0}",
    "wide": "\U0001f980" * 50,
    "long": "x" * 100_000,
}
nasty = pytest.mark.parametrize("value", list(NASTY.values()), ids=list(NASTY))

# Any text at all, and text that has caught programs before.
texts = st.one_of(st.text(), st.sampled_from(list(NASTY.values())))


def mistake(action: Callable[[], object]) -> str:
    """Return the message of the UserError that `action` raises: one printable line."""
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert is_one_line(message), repr(message)
    return message


def answer(action: Callable[[], T]) -> T | None:
    """Return what `action` gives, None where it tells the user a mistake; no other exception passes."""
    try:
        return action()
    except UserError as error:
        message = str(error)
    assert is_one_line(message), repr(message)
    return None


def is_one_line(message: str) -> bool:
    """Tell whether a message can neither break a line nor reach the terminal's controls."""
    return bool(message) and message.isprintable()
