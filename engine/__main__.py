"""Run daggerw's commands, if this Python is new enough."""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this is the check
    sys.exit(
        "daggerw: the embedded engine needs Python 3.11 or newer; or install dagger and a container runtime"
    )

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from engine.cli import run  # noqa: E402

sys.exit(run(sys.argv[1:]))
