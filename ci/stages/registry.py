"""Name the function that builds each stage."""

from collections.abc import Callable

import dagger

from ci.stages import (
    base,
    channel,
    conda,
    image,
    install,
    interpreter,
    pack,
    pyg,
    ray,
    runtime_base,
    toolkit,
    video,
    wheels,
)
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages

Composed = dagger.Container | dagger.Directory | dict[str, dagger.Directory]  # the layers have names

BUILDERS: dict[str, Callable[[ImageStages, BuildContext], Composed]] = {
    "channel": channel.build,
    "toolkit": toolkit.build,
    "base": base.build,
    "conda": conda.build,
    "interpreter": interpreter.build,
    "torch": install.build,
    "wheels": wheels.build,
    "pyg": pyg.build,
    "video": video.build,
    "ray": ray.build,
    "marimo": install.build,
    "runtime-base": runtime_base.build,
    "pack": pack.build,
    "image": image.build,
}
