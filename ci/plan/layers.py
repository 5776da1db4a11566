"""Name the layers that images put on a base, with keys by which images share them."""

import hashlib

from ci.plan.plan import Plan
from ci.plan.stages import STAGES
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pack import PackSpec

LIBRARIES_LAYER = "libraries"  # CUDA's libraries, apart from the environment


def base_name(plan: Plan) -> str:
    """Return the name of the stage that the layers are put on."""
    return "base" if plan.spec("image", ImageSpec).kind == "devel" else "runtime-base"


def layer_names(plan: Plan) -> list[str]:
    """Return the layers on the base: CUDA's libraries, the environment up to PyG, and one for each stage above it."""
    below = [LIBRARIES_LAYER] if plan.spec("pack", PackSpec).libraries else []
    return [*below, "pack", *(stage.name for stage in plan.stages if STAGES[stage.name].layer)]


def layer_key(plan: Plan, name: str) -> str:
    """Return the digest of what a layer is made from; two images with a layer of the same key share it.

    The environment's layer is made from PyG's stage alone, whatever is packed on top of it; that of CUDA's
    libraries from their pins.
    """
    if name in ("base", "runtime-base"):
        return plan.stage(name).digest
    spec = plan.spec("pack", PackSpec)
    if name == LIBRARIES_LAYER:  # whatever Python they lie beside
        made = f"{spec.libraries} {spec.strip} {spec.trims}"
    else:
        made = f"{plan.stage('pyg' if name == 'pack' else name).digest} {spec.model_dump_json()}"
    return hashlib.sha256(made.encode()).hexdigest()


def added_layers(plan: Plan, below: Plan) -> tuple[str, ...]:
    """Return the layers that an image adds to another one, empty if it is not that image with more layers on top.

    Both have the same base and the same layers below those, by digest, and run commands with the same variables, user
    and folder. Labels, port and default command may differ: no command that runs in the image depends on them.
    """
    above, lower = layer_names(plan), layer_names(below)
    if len(lower) >= len(above) or _settings(plan) != _settings(below):
        return ()
    shared = [base_name(below), *lower]
    if [base_name(plan), *above][: len(shared)] != shared:
        return ()
    if any(layer_key(plan, name) != layer_key(below, name) for name in shared):
        return ()
    return tuple(above[len(lower) :])


def _settings(plan: Plan) -> ImageSpec:
    return plan.spec("image", ImageSpec).model_copy(
        update={"base_labels": (), "labels": (), "args": (), "port": None}
    )
