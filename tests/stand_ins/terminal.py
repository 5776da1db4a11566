"""Run daggerw in a pseudo-terminal and read what a person would see there."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 1800  # seconds; on a busy machine, with nothing cached, the stages before take many minutes


@contextmanager
def in_terminal(command: Sequence[str], folder: Path) -> Iterator[int]:
    """Run a command in a terminal, give its other end, and expect that the command ends well."""
    terminal, own = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, stdin=own, stdout=own, stderr=own, start_new_session=True
    ) as process:
        os.close(own)
        try:
            yield terminal
            os.write(terminal, b"exit 0\r")
            until(terminal, None)
        finally:
            os.close(terminal)
            process.terminate()
    assert process.returncode == 0


def until(terminal: int, pattern: bytes | None) -> bytes:
    """Read what a terminal shows until there is what the pattern says; without one, to its end."""
    shown, deadline = b"", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                shown += os.read(terminal, 65_536)
            except OSError:  # its other end is closed
                if pattern is None:
                    return shown
                break
        if pattern and re.search(pattern, shown, re.DOTALL):
            return shown
    raise TimeoutError(f"{pattern!r} was not shown, but {shown[-2000:]!r}")
