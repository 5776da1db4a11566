"""Measure the layers of images, each layer once.

The program runs in the devel base, which has Python; the tree that it measures is mounted there.
"""

import json

import dagger

from ci.inspection.sizes import LayerSizes, SizeBreakdown, combine_layers
from ci.plan.layers import layer_key
from ci.plan.paths import LIBRARIES, PREFIX
from ci.plan.programs import python_command
from ci.stages.builder import ImageBuilder
from ci.stages.programs import with_program

MeasuredLayers = dict[str, LayerSizes]  # by layer key: a layer that two images share is measured once

_ROOT = "/run/measured"
_LISTS = "/run/lists"


async def measure_image(builder: ImageBuilder, measured: MeasuredLayers | None = None) -> SizeBreakdown:
    """Build and measure an image's layers; those already in `measured` are not measured again, new ones are added."""
    known = MeasuredLayers() if measured is None else measured
    layers = builder.layers()
    trees = {builder.base_name: (builder.base_image().rootfs(), "")}
    trees |= {name: (layer, LIBRARIES if name == "libraries" else PREFIX) for name, layer in layers.items()}
    sizes: dict[str, LayerSizes] = {}
    for name, (tree, at) in trees.items():
        key = layer_key(builder.plan, name)
        if key not in known:
            # The package lists that name these libraries are in the `pack` layer.
            lists = layers["pack"] if name == "libraries" else None
            known[key] = await measure_layer(builder.container("base"), tree, at, lists)
        sizes[name] = known[key]
    return combine_layers(sizes)


async def measure_layer(
    python: dagger.Container, tree: dagger.Directory, at: str, lists: dagger.Directory | None = None
) -> LayerSizes:
    """Count the bytes of a tree, by package and kind of file.

    `python` is a container with Python; `at` is the tree's path in images, empty for the root. `lists` is the
    environment whose package lists name the files, if that is not the tree itself.
    """
    container = with_program(python, "ledger.py").with_mounted_directory(_ROOT, tree)
    command = python_command("ledger.py", _ROOT, "--at", at.strip("/"))
    if lists:
        container = container.with_mounted_directory(_LISTS, lists)
        command += ["--lists", _LISTS]
    return LayerSizes.model_validate(json.loads(await container.with_exec(command).stdout()), strict=False)
