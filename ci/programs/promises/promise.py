"""What the promises share: a JSON line of facts when one is kept; its last line says what failed when one is not."""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

Facts = dict[str, object]


class PromiseError(Exception):
    """A promise that is not kept, and why, in one line."""


def keep(check: Callable[[], Facts]) -> NoReturn:
    """Run a promise's check and end the process: 0 when it is kept."""
    name, began = Path(sys.argv[0]).stem, time.monotonic()
    try:
        facts = check()
    except Exception as error:  # noqa: BLE001 - whatever fails breaks the promise
        if not isinstance(error, PromiseError):
            traceback.print_exc()
        words = " ".join(str(error).split()) or type(error).__name__
        sys.stdout.flush()
        print(f"{name}: {words[-600:]}", file=sys.stderr, flush=True)
        sys.exit(1)
    print(json.dumps({"promise": name, **facts, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    sys.exit(0)


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise PromiseError(otherwise)
