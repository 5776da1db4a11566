"""Write a build context for a Dockerfile of this module."""

import shutil
from pathlib import Path

from tests.engine.conftest import ROOT, succeed


def write_context(context: Path, pair: str, *call: str) -> str:
    """Write the files that a pair's Dockerfile needs, and that Dockerfile itself; return its path in the context.

    `call` is the command that writes it, `dockerfile` with its arguments.
    """
    for name in ("programs", "locks"):
        shutil.copytree(ROOT / "ci" / name, context / "ci" / name)
    folder = f"dockerfiles/{pair}"  # the path that the Dockerfile itself uses
    succeed(*call, "export", f"--path={context / folder}")
    file = context / folder / "Dockerfile"
    # The newest syntax would be read from Docker Hub; the engine's own will do.
    file.write_text(file.read_text("utf-8").replace("# syntax=", "# not read here: "), "utf-8")
    return f"{folder}/Dockerfile"
