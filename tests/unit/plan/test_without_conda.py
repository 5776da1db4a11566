"""The variant without conda: what takes the place of conda in its plans, and what stays as it is."""

import json

import pytest

from ci.config.locks import Locks
from ci.inspection.checks import checks_for
from ci.plan.inputs import Options
from ci.plan.installs import InstallSpec
from ci.plan.layers import layer_key
from ci.plan.planner import Planner, plan_cell
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.interpreter import InterpreterSpec
from ci.plan.stages.pack import PackSpec
from tests.unit.plans import CELLS, cell, digests, inputs, locks, plan, reason
from tests.unit.user_errors import mistake

UV = Options(variant="uv")
RUNTIME = "cu13.1.1-py3.14-ray-runtime"


@pytest.mark.parametrize("sources", ["upstream", "registries"])
def test_an_interpreter_takes_the_place_of_the_conda_environment(sources: str) -> None:
    bare, usual = plan(RUNTIME, sources, options=UV), plan(RUNTIME, sources)
    names = [stage.name for stage in usual.stages if stage.name != "channel"]
    assert [stage.name for stage in bare.stages] == [
        "interpreter" if name == "conda" else name for name in names
    ]
    parents = {stage.name: [parent.name for parent in stage.parents] for stage in bare.stages}
    assert (parents["interpreter"], parents["torch"]) == (["base"], ["interpreter"])
    assert "without conda" in reason(bare, "interpreter")
    assert "conda-pack" not in reason(bare, "pack")
    same = {name for name, digest in digests(bare).items() if digests(usual).get(name) == digest}
    assert same == {"toolkit", "base", "runtime-base"}
    assert bare.id == f"{RUNTIME}@uv"


def test_upstream_has_a_standalone_build_fetched_from_an_address_that_a_mirror_can_change() -> None:
    spec = plan(RUNTIME, options=UV).spec("interpreter", InterpreterSpec)
    assert spec.standalone
    assert spec.standalone.endswith("/python-build-standalone/releases/download")
    assert (spec.recipe, spec.pip.requirements, spec.pip.hashed) == (None, "pip\n", False)
    mirror = 'interpreter.standalone = "http://mirror:8080/pythons"'
    with_mirror = plan(RUNTIME, options=UV, mirrors=mirror).spec("interpreter", InterpreterSpec)
    assert with_mirror.standalone == "http://mirror:8080/pythons"


@pytest.mark.parametrize(("cell_id", "python"), [(RUNTIME, "3.14"), ("cu12.8.1-py3.13-runtime", "3.13")])
def test_registries_make_the_interpreter_of_what_the_channel_is_made_of(cell_id: str, python: str) -> None:
    spec = plan(cell_id, "registries", options=UV).spec("interpreter", InterpreterSpec)
    assert spec.standalone is None
    recipe, whole = json.loads(spec.recipe or ""), json.loads(locks().channel())
    assert [one["version"].rpartition(".")[0] for one in recipe["python"]] == [python]
    assert recipe["python"][0] in whole["python"]
    assert {one["name"] for one in recipe["debs"]} >= {"ncurses", "libzlib"}, (
        "what libraries need themselves too"
    )
    assert ("zstd" in {one["name"] for one in recipe["debs"]}) == (python == "3.14")
    assert spec.pip.hashed
    assert spec.pip.requirements.startswith("pip==")
    assert "--hash=sha256:" in spec.pip.requirements


def test_a_python_that_the_recipe_has_not_is_a_mistake() -> None:
    stand = inputs("registries")
    whole = json.loads(locks().channel())
    few = json.dumps({**whole, "python": whole["python"][:1]})
    files = {path.removeprefix("ci/locks/"): text for text, path in locks().paths_by_text().items()}
    stand = type(stand)(
        matrix=stand.matrix,
        sources_name=stand.sources_name,
        sources=stand.sources,
        locks=Locks({**files, "channel.json": few}),
        code=stand.code,
    )
    said = mistake(lambda: plan_cell(cell(RUNTIME), stand, {}, UV))
    assert said == "the registries sources have no CPython 3.14 without conda"


def test_the_same_packages_are_installed_from_the_same_locks() -> None:
    bare, usual = plan(RUNTIME, "registries", options=UV), plan(RUNTIME, "registries")
    for name in ("torch", "ray"):
        one, other = ([stage.spec for stage in made.stages if stage.name == name] for made in (bare, usual))
        assert one == other
    assert bare.spec("torch", InstallSpec).hashed


def test_the_base_and_cudas_libraries_are_the_same_layers() -> None:
    bare, usual = plan(RUNTIME, "registries", options=UV), plan(RUNTIME, "registries")
    shared = [
        name
        for name in ("runtime-base", "libraries", "pack")
        if layer_key(bare, name) == layer_key(usual, name)
    ]
    assert shared == ["runtime-base", "libraries"]
    assert (bare.spec("pack", PackSpec).conda, usual.spec("pack", PackSpec).conda) == (False, True)


def test_it_keeps_all_promises_and_names_no_conda() -> None:
    bare, usual = plan(RUNTIME, options=UV), plan(RUNTIME)
    assert [check.title for check in checks_for(bare)] == [check.title for check in checks_for(usual)]
    env = dict(bare.spec("image", ImageSpec).env)
    assert "CONDA_PREFIX" not in env
    assert env == {
        name: value for name, value in usual.spec("image", ImageSpec).env if name != "CONDA_PREFIX"
    }
    assert bare.spec("image", ImageSpec).all_labels["io.cslr-images.variant"] == "uv"


@pytest.mark.parametrize("sources", ["upstream", "registries"])
def test_devel_images_are_made_with_conda_beside_it(sources: str) -> None:
    planner, usual = Planner(inputs(sources), {}, UV), Planner(inputs(sources), {})
    for cell_id in CELLS:
        made = planner.plan(cell(cell_id))
        assert made.has("conda") != cell_id.endswith("runtime")
        if cell_id.endswith("devel"):
            assert made.digest == usual.plan(cell(cell_id)).digest
