"""Register the stages, in the order in which a plan builds them.

A stage is `ci/plan/stages/NAME.py` (all that is decided beforehand) and `ci/stages/NAME.py` (how Dagger runs it).
Planner, digests, bundles, Dockerfiles and the builder loop over this table.
"""

from ci.plan.definition import StageDefinition
from ci.plan.stages import (
    base,
    channel,
    conda,
    image,
    interpreter,
    marimo,
    pack,
    pyg,
    ray,
    runtime_base,
    toolkit,
    torch,
    video,
    wheels,
)

STAGES: dict[str, StageDefinition] = {
    module.STAGE.name: module.STAGE
    for module in (
        channel,
        toolkit,
        base,
        conda,
        interpreter,
        torch,
        wheels,
        pyg,
        video,
        ray,
        marimo,
        runtime_base,
        pack,
        image,
    )
}
