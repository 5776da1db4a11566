"""A pair more in matrix.toml, and nothing else, is in everything that is made from it."""

from importlib import resources

import pytest

from ci import args
from ci.config.locks import read_locks
from ci.config.matrix import Matrix, default_matrix, read_matrix
from ci.config.selection import select_cells, select_pair
from ci.config.sources import read_profiles, read_sources
from ci.generate.files import render_files
from ci.generate.reference import render_reference
from ci.main import CslrImages
from ci.plan.inputs import Options, PlanInputs
from ci.plan.planner import Planner
from ci.plan.stages.conda import CondaSpec
from ci.sdk.compat import own_fields
from ci.sweep.preview import github_matrix
from tests.unit.plans import TARGETS, code

PAIR = """
[[pairs]]
cuda = "13.1.1"
python = "3.15"
phases = { runtime = 2, devel = 6 }
"""
ID = "cu13.1.1-py3.15"


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    """Return the module's matrix with the pair at its end."""
    return read_matrix(resources.files("ci").joinpath("matrix.toml").read_text("utf-8") + PAIR)


def inputs(matrix: Matrix, name: str) -> PlanInputs:
    """Return what plans of a matrix are made from."""
    return PlanInputs(
        matrix=matrix, sources_name=name, sources=read_sources(name), locks=read_locks(), code=code()
    )


def test_it_has_cells(matrix: Matrix) -> None:
    assert [cell.id for cell in select_cells(matrix, python=["3.15"])] == [
        f"{ID}-{target}" for target in TARGETS
    ]
    assert len(select_cells(matrix, phase=[6])) == 3


@pytest.mark.parametrize("name", read_profiles())
def test_it_is_planned_for_its_own_python(matrix: Matrix, name: str) -> None:
    planner = Planner(inputs(matrix, name), {})
    plans = [planner.plan(cell) for cell in select_pair(matrix, "13.1.1", "3.15")]
    assert [row["cell"] for row in github_matrix(plans)["include"]] == [
        f"{ID}-{target}" for target in TARGETS
    ]
    assert plans[0].spec("conda", CondaSpec).packages == ("python=3.15.*", "pip")


def test_it_is_in_every_generated_file(matrix: Matrix) -> None:
    before = render_files(inputs(default_matrix(), "upstream"), Options(), {})
    after = render_files(inputs(matrix, "upstream"), Options(), {})
    assert set(after) == set(before)
    changed = {path for path in before if after[path] != before[path]}
    assert changed == {
        "dockerfiles/Dockerfile",
        "dockerfiles/docker-bake.json",
        ".github/workflows/images.yml",
        ".gitlab-ci.yml",
    }
    (more,) = set(after["dockerfiles/Dockerfile"].splitlines()) - set(
        before["dockerfiles/Dockerfile"].splitlines()
    )
    assert more.startswith(f"#   {ID}: --build-arg CUDA=13.1.1 --build-arg PYTHON=3.15 ")
    assert '"cu13_1_1-py3_15": {' in after["dockerfiles/docker-bake.json"]
    for path in (".github/workflows/images.yml", ".gitlab-ci.yml"):
        runs = after[path].split("# Wednesday", 1)[1].split("# Friday", 1)[0]
        assert f"#   {ID}: runtime, ray-runtime, marimo-runtime\n" in runs
        assert "3.13, 3.14, 3.15" in after[path]


def test_it_is_in_the_reference(matrix: Matrix) -> None:
    page = render_reference(CslrImages, own_fields(CslrImages), vars(args), matrix)
    assert "| `13.1.1` | `3.15` | runtimes 2, devels 6 |" in page
    assert "`3.13`, `3.14`, `3.15` | required |" in page
