"""Match paths by patterns: `*` and `?` match anything but `/`, `**` any number of folders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def either(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression that matches what any of the patterns matches, nothing if there is none."""
    return re.compile("|".join(map(expression, patterns)) or r"(?!)", re.DOTALL)


def expression(pattern: str) -> str:
    """Translate a pattern into a regular expression; `**/**/` is the same as `**/`, and quicker to match.

    >>> bool(re.fullmatch(expression("lib/**/*.a"), "lib/libx.a")), bool(re.fullmatch(expression("*.a"), "lib/x.a"))
    (True, False)
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", re.sub(r"(?:\*{2,}/)+", "**/", pattern))
    return "".join(WILD.get(part) or re.escape(part) for part in parts)
