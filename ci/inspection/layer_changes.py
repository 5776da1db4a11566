"""Ask what a layer of an image changes for the files below it, so that checks of the image below may count."""

import json
from pathlib import PurePosixPath

from ci.plan.layers import LIBRARIES_LAYER, layer_names
from ci.plan.paths import LIBRARIES, PREFIX
from ci.plan.programs import python_command
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pack import PackSpec
from ci.stages.builder import ImageBuilder
from ci.stages.programs import with_program

_PROGRAM = "compare_layer.py"
_LAYER = "/run/layer"
_BELOW = "/run/below"
_BASE = "/run/base"


async def find_layer_changes(builder: ImageBuilder, name: str) -> tuple[str, ...]:
    """Return what a layer of the builder's image changes for the base and the layers below it, empty if nothing.

    The trees are those that the image is put together from: they are mounted, and only their names are read.
    """
    plan, layers = builder.plan, builder.layers()
    below = layer_names(plan)[: layer_names(plan).index(name)]
    container = builder.container("base").with_mounted_directory(_LAYER, layers[name])
    container = container.with_mounted_directory(_BASE, builder.base_image().rootfs())
    for lower in below:
        at = PurePosixPath(LIBRARIES).relative_to(PREFIX) if lower == LIBRARIES_LAYER else ""
        container = container.with_mounted_directory(str(PurePosixPath(_BELOW, lower, at)), layers[lower])
    command = python_command(
        _PROGRAM,
        _LAYER,
        "--below",
        *(f"{_BELOW}/{lower}" for lower in below),
        f"{_BASE}{PREFIX}",
        *("--base", _BASE),
        *("--packages", plan.spec("pack", PackSpec).site_packages),
        *("--path", dict(plan.spec("image", ImageSpec).env)["PATH"]),
    )
    found = await with_program(container, _PROGRAM).with_exec(command).stdout()
    return tuple(json.loads(found)["changes"])
