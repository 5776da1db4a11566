"""Measures the layers of images, each once: the program runs in the devel base, where what it measures is mounted."""

import json

import dagger

from ci.inspection.sizes import LayerSizes, SizeBreakdown, combine_layers
from ci.plan.layers import layer_key
from ci.plan.paths import LIBRARIES, PREFIX
from ci.plan.programs import python_command
from ci.stages.builder import ImageBuilder
from ci.stages.programs import with_program

MeasuredLayers = dict[str, LayerSizes]  # by layer key: a layer that two images have is measured once

_ROOT = "/run/measured"
_LISTS = "/run/lists"


async def measure_image(builder: ImageBuilder, measured: MeasuredLayers | None = None) -> SizeBreakdown:
    """Build an image's layers and measure them; those in `measured`, by layer key, are taken and added there."""
    known = MeasuredLayers() if measured is None else measured
    layers = builder.layers()
    trees = {builder.base_name: (builder.base_image().rootfs(), "")}
    trees |= {name: (layer, LIBRARIES if name == "libraries" else PREFIX) for name, layer in layers.items()}
    found: dict[str, LayerSizes] = {}
    for name, (tree, at) in trees.items():
        key = layer_key(builder.plan, name)
        if key not in known:
            # The package lists that name these libraries are in the `pack` layer.
            lists = layers["pack"] if name == "libraries" else None
            known[key] = await measure_layer(builder.container("base"), tree, at, lists)
        found[name] = known[key]
    return combine_layers(found)


async def measure_layer(
    tools: dagger.Container, tree: dagger.Directory, at: str, lists: dagger.Directory | None = None
) -> LayerSizes:
    """Count the bytes of a tree, which lies at / in images, or at `at`; `tools` has Python.

    `lists` is the environment in which packages list their files, where that is not the tree itself.
    """
    container = with_program(tools, "ledger.py").with_mounted_directory(_ROOT, tree)
    command = python_command("ledger.py", _ROOT, "--at", at.strip("/"))
    if lists:
        container = container.with_mounted_directory(_LISTS, lists)
        command += ["--lists", _LISTS]
    return LayerSizes.model_validate(json.loads(await container.with_exec(command).stdout()), strict=False)
