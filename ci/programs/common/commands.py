"""Run other programs; a failure carries their last lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = 30  # last lines of a failed command that are repeated


class MissingProgramError(UserError):
    """A program that is not installed."""


def run(command: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Raises:
        MissingProgramError: The program is not installed.
        UserError: It failed. Its last 30 lines are repeated on stderr; the message quotes the last one.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise
        raise MissingProgramError(f"{words[0]} is not installed here") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        print("\n".join(lines[-SHOWN:]), file=sys.stderr)
        last = f": {lines[-1].strip()}" if lines else ""
        raise UserError(f"{Path(words[0]).name} failed ({done.returncode}){last}")
    return done.stdout
