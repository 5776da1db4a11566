"""Measures the layers of images, each once: the program runs in the devel base, where what it measures is mounted."""

import json

import dagger

from ci.commands import PROGRAMS, TOOLS
from ci.ledger import Part
from ci.stages.site import with_program

_ROOT = "/run/measured"


async def measured(tools: dagger.Container, tree: dagger.Directory, at: str) -> Part:
    """Count the bytes of a tree, which lies at / in images, or at `at`; `tools` has Python."""
    container = with_program(tools, "ledger.py").with_mounted_directory(_ROOT, tree)
    command = [f"{TOOLS}/bin/python", f"{PROGRAMS}/ledger.py", _ROOT, "--at", at.strip("/")]
    return Part.model_validate(json.loads(await container.with_exec(command).stdout()), strict=False)
