"""The code of a stage is one of its inputs: who changes a program gets new digests, from that stage on."""

from dataclasses import replace
from pathlib import Path

import pytest

import ci
from ci.plan.code_digests import digest_code, list_sources, read_code
from ci.plan.inputs import Options
from ci.plan.planner import plan_cell
from ci.plan.stages import STAGES
from ci.stages.registry import BUILDERS
from tests.unit.plans import cell, digests, inputs, plan

ROOT = Path(ci.__file__).parent
ALL = "cu12.8.1-py3.13-marimo-runtime"
# Puts stages together, reaches out for them, or checks them; what images hold does not come from here.
AROUND = {
    "compare_layer.py",
    "copy_changes.py",  # in Dockerfiles only
    "__init__.py",
    "make_bundle.py",
    "small_wheels.py",  # of checks only
    "builder.py",
    "cache_volumes.py",
    "collect_debs.sh",
    "collect_packages.py",
    "context.py",
    "fatbin.py",
    "image_stages.py",
    "keep_history.sh",
    "measure_sizes.py",
    "mirror_channel.py",
    "offline.py",
    "online.py",
    "programs.py",
    "read_indexes.py",
    "deadline.py",
    "read_machine.sh",
    "read_tag.py",
    "registry.py",
    "step.py",
    "texts.py",
}


def test_every_stage_of_a_plan_is_registered_and_has_a_builder() -> None:
    plans = [plan(ALL, "registries", options=Options(variant=variant)) for variant in ("default", "uv")]
    assert {stage.name for made in plans for stage in made.stages} == set(STAGES) == set(BUILDERS)


def test_every_file_that_makes_images_belongs_to_a_stage() -> None:
    stages = {
        str(path.relative_to(ROOT))
        for folder in ("stages", "plan/stages")
        for path in (ROOT / folder).glob("*.py")
        if path.name not in AROUND
    }
    programs = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "programs").rglob("*.*")
        if path.name not in AROUND and not {"checks", "__pycache__"} & {*path.parts}
    }
    shared = {"plan/system.py", "plan/installs.py", "plan/image_config.py"}
    assert {file for name in STAGES for file in list_sources(name)} == stages | programs | shared


@pytest.mark.parametrize(
    ("file", "first", "spared"),
    [
        ("programs/compile_wheels.py", "wheels", {"channel", "toolkit", "base", "conda", "torch"}),
        ("programs/pack_env.py", "pack", {"base", "torch", "wheels", "pyg", "ray", "marimo", "runtime-base"}),
        ("plan/stages/marimo.py", "marimo", {"base", "torch", "wheels", "pyg", "ray", "runtime-base"}),
    ],
)
def test_a_change_of_code_makes_the_stage_and_what_stands_on_it_new(
    file: str, first: str, spared: set[str]
) -> None:
    stand = inputs("registries")
    before = digests(plan_cell(cell(ALL), stand, {}))
    changed = replace(stand, code=digest_code({**read_code(), file: "another program"}))
    after = digests(plan_cell(cell(ALL), changed, {}))
    same = {name for name in before if before[name] == after[name]}
    assert spared <= same
    assert not {first, "image"} & same
