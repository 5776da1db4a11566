"""Run programs and collect their output."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.output import EngineError


@dataclass(frozen=True)
class Commands:
    """Run the set-up's programs, with their output in a log."""

    log: Path

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> None:
        """Run a program.

        Raises:
            EngineError: It failed; the message has the reason in one line and the path of the log.
        """
        with self.log.open("a") as log:
            print(f"\n$ {' '.join(command)}", file=log, flush=True)
            start = log.tell()
            result = subprocess.run(
                command,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                input=stdin,
                text=True,
                stdout=log,
                stderr=log,
            )
        if result.returncode != 0:
            raise EngineError(f"{command[0]} failed: {self._find_reason(start)} (all of it: {self.log})")

    def _find_reason(self, start: int) -> str:
        """Return the last line of the log after byte `start`, or the last one about a full disk."""
        lines = self.log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
        disk_full = [line for line in lines if "No space left on device" in line]
        return (disk_full or lines or ["no word why"])[-1].strip()


def read_output(command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program and return its output without surrounding white space."""
    settings = {**os.environ, **(env or {})}
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd, env=settings)
    return ran.stdout.strip()
