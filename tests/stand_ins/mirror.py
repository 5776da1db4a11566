"""Serve the small stack to all processes of a run of the tests: one folder, one port.

    python -m tests.stand_ins.mirror FOLDER     serve FOLDER/mirror as long as a process holds a lock on FOLDER/using

The port is part of the steps that ask the index: with a server for each process the engine would build all
of them for each.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stand_ins import servers, small_stack

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def shared_mirror(run: Path) -> Iterator[tuple[Path, int]]:
    """Use the mirror of a run, which the first process makes and starts; give the served folder and the port."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "using").open("w") as using:
        with (run / "making").open("w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            fcntl.flock(using, fcntl.LOCK_SH)  # after the end of a server that is ending
            if not (run / "mirror").exists():
                small_stack.make(run / "partial").rename(run / "mirror")
            if not (run / "port").exists():
                _start(run)
        yield run / "mirror", int((run / "port").read_text("utf-8"))


def _start(run: Path) -> None:
    """Start the server and wait until it listens; Ctrl-C does not reach it, it ends with those who use it."""
    command = [sys.executable, "-m", "tests.stand_ins.mirror", str(run)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout
    assert server.stdout.readline(), "the mirror ended as it started"


def main(run: Path) -> None:
    """Serve until nobody holds the lock."""
    port = run / "port"
    with (
        (run / "using").open("w") as using,
        servers.folder_over_http(run / "mirror", wanted=small_stack.usual_port()) as number,
    ):
        port.write_text(str(number), "utf-8")
        print(number, flush=True)
        fcntl.flock(using, fcntl.LOCK_EX)
        port.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
