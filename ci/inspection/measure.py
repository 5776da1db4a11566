"""Measures the layers of images, each once: the program runs in the devel base, where what it measures is mounted."""

import json

import dagger

from ci.inspection.sizes import LayerSizes
from ci.plan.commands import PROGRAMS, TOOLS
from ci.stages.context import with_program

_ROOT = "/run/measured"
_LISTS = "/run/lists"


async def measure_layer(
    tools: dagger.Container, tree: dagger.Directory, at: str, lists: dagger.Directory | None = None
) -> LayerSizes:
    """Count the bytes of a tree, which lies at / in images, or at `at`; `tools` has Python.

    `lists` is the environment in which packages list their files, where that is not the tree itself.
    """
    container = with_program(tools, "ledger.py").with_mounted_directory(_ROOT, tree)
    command = [f"{TOOLS}/bin/python", f"{PROGRAMS}/ledger.py", _ROOT, "--at", at.strip("/")]
    if lists:
        container = container.with_mounted_directory(_LISTS, lists)
        command += ["--lists", _LISTS]
    return LayerSizes.model_validate(json.loads(await container.with_exec(command).stdout()), strict=False)
