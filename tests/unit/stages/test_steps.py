"""The steps of a plan: all commands of its stages, each with the stage that it belongs to."""

import re
from pathlib import Path

import pytest

from ci.plan.attempt import StageAttempt
from ci.plan.caches import Cache
from ci.plan.inputs import Options
from ci.plan.programs import shell_command
from ci.plan.stages.conda import CondaSpec, create_env_command
from ci.plan.stages.wheels import WheelsSpec, compile_wheels_command
from ci.stages.builder import ImageBuilder
from ci.stages.context import BuildContext
from tests.unit.plans import plan, pyg_page

ROOT = Path(__file__).parents[3]
STAGES = ROOT / "ci/stages"
# A step itself, and the check of a bundle, which belongs to no stage.
OTHERS = {"step.py", "offline.py"}


@pytest.mark.parametrize(
    ("cell", "sources", "options"),
    [
        ("cu12.8.1-py3.13-marimo-runtime", "registries", Options(variant="slim")),
        ("cu13.1.1-py3.14-ray-devel", "upstream", Options(ray="source")),
        ("cpu-py3.13-devel", "registries", Options()),
    ],
)
def test_every_stage_has_its_steps_in_the_order_of_the_plan(
    cell: str, sources: str, options: Options
) -> None:
    made = plan(cell, sources, options=options)
    steps = ImageBuilder(made, BuildContext()).steps()
    found = list(dict.fromkeys(step.stage for step in steps))
    assert found == [stage.name for stage in made.stages]


def test_steps_are_the_commands_of_the_stages() -> None:
    page = pyg_page(["torch_scatter"])
    made = plan("cu12.8.1-py3.13-ray-runtime", page=page, options=Options(variant="slim"))
    steps = ImageBuilder(made, BuildContext(), {"wheels": StageAttempt(jobs=3)}).steps()
    by_stage: dict[str, list[tuple[str, ...]]] = {}
    for step in steps:
        by_stage.setdefault(step.stage, []).append(step.command)
    conda = made.spec("conda", CondaSpec)
    assert by_stage["conda"] == [tuple(create_env_command(conda, Cache.CONDA.path))]
    wheels = compile_wheels_command(made.spec("wheels", WheelsSpec), "/run/sdists.txt", "/opt/wheels", 3)
    assert by_stage["wheels"] == [tuple(wheels)]
    assert by_stage["pyg"][1:] == [
        tuple(shell_command("install_wheels.sh", "/opt/env", folder))
        for folder in ("/run/fetched", "/run/wheels")
    ]
    strips = [command for command in by_stage["pack"] if "strip_libs.py" in command[1]]
    assert len(strips) >= 2, "for the environment's layer, and for Ray's"


def test_a_build_that_nobody_asks_for_its_steps_keeps_none() -> None:
    context = BuildContext()
    ImageBuilder(plan("cpu-py3.13-devel", "registries"), context).image()
    assert context.steps is None


def test_no_stage_runs_a_command_that_is_no_step() -> None:
    found = {
        path.name for path in STAGES.glob("*.py") if re.search(r"\.with_exec\(", path.read_text("utf-8"))
    }
    assert found <= OTHERS
