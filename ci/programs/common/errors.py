"""Report problems that the user can solve as one line, without a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class UserError(Exception):
    """A problem that the user can solve, described in one line."""


def run_main(program: str, work: Callable[[], object], *others: type[Exception]) -> int:
    """Do a program's work and return its exit status: 0, or 1 after one line on stderr says what is wrong.

    `others` are exceptions whose text is as good as a `UserError`'s. Any other exception is a bug and passes through.
    """
    expected: tuple[type[Exception], ...] = (UserError, *others)
    try:
        work()
    except expected as error:
        text = str(error)
    except OSError as error:
        text = f"{error.strerror or error}: {error.filename or ''}"
    else:
        return 0
    print(f"{program}: error: {text}", file=sys.stderr)
    return 1
