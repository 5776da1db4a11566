"""Runs programs for the set-up, with what they print kept in its log."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.output import EngineError


@dataclass(frozen=True)
class Commands:
    log: Path

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> None:
        """Runs one program; its failure is told in one line with the place of the whole log."""
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
        lines = self.log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
        disk_full = [line for line in lines if "No space left on device" in line]
        return (disk_full or lines or ["no word why"])[-1].strip()


def read_output(command: Sequence[str], cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd).stdout.strip()
