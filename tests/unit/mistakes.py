"""What a user's mistake must look like, and text that tries to make it look otherwise."""

from collections.abc import Callable

import pytest
from ci.errors import UserError
from hypothesis import strategies as st

NASTY = (
    "",
    " ",
    "\n",
    "runtime\n",
    "12.8.1\nfake: all promises kept",
    "\r\x1b[2K\x1b[32mok\x1b[0m",
    "\x00",
    "\u2028\u202e\u200b",
    "\x85",
    "\ud800",
    "٣.13",
    "$(id)",
    "`id`",
    "a; rm -rf /",
    "'\"\\",
    "../../etc/passwd",
    "--help",
    "{tag}%s{0}",
    "🦀" * 50,
    "x" * 100_000,
)

# Any text at all, and text that has caught programs before.
texts = st.one_of(st.text(), st.sampled_from(NASTY))


def mistake(action: Callable[[], object]) -> str:
    """Return the message of the UserError that `action` raises: one printable line."""
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert is_one_line(message), repr(message)
    return message


def answer(action: Callable[[], object]) -> object | None:
    """Return what `action` gives, None where it tells the user a mistake; no other exception passes."""
    try:
        return action()
    except UserError as error:
        assert is_one_line(str(error)), repr(str(error))
        return None


def is_one_line(message: str) -> bool:
    """Tell whether a message can neither break a line nor reach the terminal's controls."""
    return bool(message) and message.isprintable()
