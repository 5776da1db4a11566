"""A folder from which a Dockerfile of this module is built."""

import shutil
from pathlib import Path

from tests.engine.conftest import ROOT, succeed

_FOLDER = "dockerfiles/pair"


def write_context(context: Path, *call: str) -> str:
    """Write what the Dockerfile needs, and the Dockerfile that a call of `dockerfile` gives; return its path there."""
    for name in ("programs", "locks"):
        shutil.copytree(ROOT / "ci" / name, context / "ci" / name)
    succeed(*call, "export", f"--path={context / _FOLDER}")
    file = context / _FOLDER / "Dockerfile"
    # The newest syntax would be read from Docker Hub; the engine's own will do.
    file.write_text(file.read_text("utf-8").replace("# syntax=", "# not read here: "), "utf-8")
    return f"{_FOLDER}/Dockerfile"
