"""Run a check: print a JSON line of facts if it passes, or end with a line that says what failed.

Checks run as scripts by the image's own Python, so this also makes `common`, the folder beside theirs, importable:
import this module first.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

Facts = dict[str, object]


class CheckError(Exception):
    """A check that fails, and why, in one line."""


def run_check(check: Callable[[], Facts]) -> NoReturn:
    """Run a check and end the process, with status 0 if it passes."""
    name, began = Path(sys.argv[0]).stem, time.monotonic()
    try:
        facts = check()
    except Exception as error:  # noqa: BLE001 - any exception fails the check
        if not isinstance(error, CheckError):
            traceback.print_exc()
        words = " ".join(str(error).split()) or type(error).__name__
        sys.stdout.flush()
        print(f"{name}: {words[-600:]}", file=sys.stderr, flush=True)
        sys.exit(1)
    print(json.dumps({"check": name, **facts, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    sys.exit(0)


def require(condition: bool, otherwise: str) -> None:
    """Fail the check unless a condition holds."""
    if not condition:
        raise CheckError(otherwise)
