"""A new stage is one or two files and a row in each registry; all that loops over stages has it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ci.generate.dockerfile import dockerfile
from ci.plan.bundle_inputs import list_plan_inputs
from ci.plan.code_digests import digest_code, read_code
from ci.plan.layers import layer_names
from ci.plan.plan import Plan
from ci.plan.planner import plan_cell
from ci.plan.stages import STAGES
from ci.stages.builder import ImageBuilder
from ci.stages.context import BuildContext
from ci.stages.registry import BUILDERS
from tests.unit.plans import cell, inputs
from tests.unit.stages import toy_stage

CELL = "cu12.8.1-py3.13-ray-runtime"


TEXTS = {"plan/stages/greeting.py": "one", "stages/greeting.py": "two", **read_code()}


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    """Register the toy stage after marimo's, and plan a cell."""
    shipped, before = inputs("registries"), dict(STAGES)
    place = [*before].index("marimo") + 1
    rows = [*before.items()]
    STAGES.clear()
    STAGES.update([*rows[:place], ("greeting", toy_stage.STAGE), *rows[place:]])
    monkeypatch.setitem(BUILDERS, "greeting", toy_stage.build)
    try:
        yield plan_cell(cell(CELL), replace(shipped, code=digest_code(TEXTS)), {})
    finally:
        STAGES.clear()
        STAGES.update(before)


def test_the_planner_has_it(plan: Plan) -> None:
    names = [stage.name for stage in plan.stages]
    assert names[names.index("ray") + 1] == "greeting"
    assert plan.stage("greeting").parents[0].name == "ray"
    assert "it greets" in plan.notes
    assert plan.stage("greeting") in plan.stage("pack").parents


def test_the_digests_have_it(plan: Plan) -> None:
    other = digest_code({**TEXTS, "plan/stages/greeting.py": "another"})
    assert other["greeting"] != plan.stage("greeting").code


def test_a_bundle_has_it(plan: Plan) -> None:
    assert any(external.key == ("https://example.org/greeting.txt",) for external in list_plan_inputs(plan))


def test_a_dockerfile_has_it(plan: Plan) -> None:
    text = dockerfile([plan], "dockerfiles/x", inputs("registries").locks.paths_by_text())["Dockerfile"]
    assert "FROM ray AS greeting\n" in text
    assert "FROM runtime-files AS video-runtime-files" in text
    assert "FROM video-runtime-files AS ray-runtime-files" in text
    assert "FROM ray-runtime-files AS greeting-runtime-files" in text


def test_the_builder_has_it(plan: Plan) -> None:
    steps = ImageBuilder(plan, BuildContext()).steps()
    assert [step.command[-1] for step in steps if step.stage == "greeting"] == [
        f"echo 'hello {CELL}' >/opt/env/greeting"
    ]
    assert layer_names(plan)[-1] == "greeting"
