"""The bake file: names that buildx accepts, every cell once, and groups that match the filters."""

import json
import re
from typing import Any

from ci.generate.bake import COMMON, render_bake_file
from ci.generate.dockerfiles import write_dockerfiles
from ci.plan.dockerfile_writer import INDEX_ARGUMENTS
from ci.plan.inputs import Options, PlanInputs
from ci.plan.planner import Planner
from tests.unit.plans import inputs


def bake_file(stand: PlanInputs, options: Options | None = None) -> dict[str, Any]:
    """Return the bake file of a matrix."""
    planner = Planner(stand, {}, options)
    plans = [planner.plan(cell) for cell in stand.matrix.built]
    pairs = write_dockerfiles(plans, stand.matrix, stand.locks.paths_by_text()).pairs
    found: dict[str, Any] = json.loads(render_bake_file(plans, stand.matrix, pairs))
    return found


def members(found: dict[str, Any], group: str) -> list[str]:
    """Return the targets of a group."""
    names: list[str] = found["group"][group]["targets"]
    return names


def test_names_are_those_that_buildx_takes_and_no_group_hides_a_target() -> None:
    found = bake_file(inputs())
    names = [*found["group"], *found["target"]]
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]+", name)] == []
    assert len(names) == len(set(names))


def test_every_cell_is_a_target_with_its_stage_and_moving_tag_of_its_pair() -> None:
    targets = bake_file(inputs("upstream"))["target"]
    assert len(targets) == 24 + 4 + 1
    assert targets["cu12_8_1-py3_13-ray-runtime"] == {
        "inherits": ["_cu12_8_1-py3_13"],
        "target": "ray-runtime",
        "tags": ["${REPOSITORY}:ray-runtime-cu128-py313"],
    }
    assert targets["_cpu-py3_13"] == {"inherits": [COMMON], "dockerfile": "dockerfiles/cpu.Dockerfile"}


def test_a_pair_is_a_dockerfile_and_the_arguments_that_make_it_the_pairs() -> None:
    targets = bake_file(inputs("upstream"))["target"]
    assert targets["_cu13_1_1-py3_14"] == {
        "inherits": [COMMON],
        "dockerfile": "dockerfiles/Dockerfile",
        "args": {
            "CUDA": "13.1.1",
            "PYTHON": "3.14",
            "CUDA_TAG": "cu130",
            "TORCHCODEC": "0.16.0",
            "NVCC_VERSION": "13.1.115",
            "ARCHS": "7.5 8.0 8.6 9.0 10.0 12.0+PTX",
        },
    }
    for name in ("_cu12_8_1-py3_13", "_cu12_8_1-py3_14"):
        assert targets[name]["dockerfile"] == "dockerfiles/Dockerfile"


def test_groups_are_those_of_the_filters() -> None:
    found = bake_file(inputs())
    assert members(found, "phase-2") == [
        f"cu13_1_1-py3_14-{name}" for name in ("runtime", "ray-runtime", "marimo-runtime")
    ]
    assert members(found, "devel") == [
        f"{pair}-devel" for pair in ("cu12_8_1-py3_13", "cu12_8_1-py3_14", "cu13_1_1-py3_14")
    ]
    assert len(members(found, "cpu-py3_13")) == 6
    assert len(members(found, "default")) == 18, (
        "a pair that is built only when asked for is in no other group"
    )
    for name in found["group"]:
        assert set(members(found, name)) <= set(found["target"])


def test_addresses_are_variables_that_are_left_out_when_unset() -> None:
    found = bake_file(inputs())
    assert found["variable"]["REPOSITORY"] == {"default": inputs().matrix.image.name}
    for name in INDEX_ARGUMENTS:
        assert found["variable"][name] == {"default": None}
        assert found["target"][COMMON]["args"][name] == f"${{{name}}}"


def test_the_tags_of_runtimes_name_the_variant() -> None:
    targets = bake_file(inputs(), Options(variant="slim"))["target"]
    assert targets["cpu-py3_13-runtime"]["tags"] == ["${REPOSITORY}:runtime-slim-cpu-py313"]
    assert targets["cpu-py3_13-devel"]["tags"] == ["${REPOSITORY}:devel-cpu-py313"]
