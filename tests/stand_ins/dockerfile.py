"""A folder from which a Dockerfile of this module is built."""

import shutil
from pathlib import Path

from tests.engine.conftest import ROOT, succeed


def write_context(context: Path, pair: str, *call: str) -> str:
    """Write what a pair's Dockerfile needs, and the one that a call of `dockerfile` gives; return its path there."""
    for name in ("programs", "locks"):
        shutil.copytree(ROOT / "ci" / name, context / "ci" / name)
    folder = f"dockerfiles/{pair}"  # where the Dockerfile looks for what lies beside it
    succeed(*call, "export", f"--path={context / folder}")
    file = context / folder / "Dockerfile"
    # The newest syntax would be read from Docker Hub; the engine's own will do.
    file.write_text(file.read_text("utf-8").replace("# syntax=", "# not read here: "), "utf-8")
    return f"{folder}/Dockerfile"
