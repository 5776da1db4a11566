"""Name the layers that images put on a base, with keys by which images share them."""

import hashlib

from ci.plan.plan import Plan
from ci.plan.stages import STAGES
from ci.plan.stages.pack import PackSpec

LIBRARIES_LAYER = "libraries"  # CUDA's libraries, apart from the environment


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
