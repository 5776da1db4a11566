"""From a cell to a plan: stages, digests, reasons, refusals, and the configuration of images."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.config.matrix import Matrix
from ci.config.sources import Sources, read_profiles, read_sources
from ci.index.wheels import Page
from ci.inspection.checks import checks_for
from ci.plan.inputs import Options, PlanInputs
from ci.plan.installs import InstallSpec
from ci.plan.layers import layer_key
from ci.plan.pair import list_extension_pages
from ci.plan.plan import Plan
from ci.plan.planner import parse_archs, parse_ray_mode, plan_cell
from ci.plan.stages.base import BaseSpec
from ci.plan.stages.conda import CondaSpec
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pack import PackSpec
from ci.plan.stages.pyg import PygSpec
from ci.plan.stages.ray import RaySpec
from ci.plan.stages.runtime_base import RuntimeBaseSpec
from ci.plan.stages.toolkit import ToolkitSpec
from ci.plan.stages.wheels import WheelsSpec
from ci.plan.system import profile_arguments
from ci.util.model import load_model
from tests.unit.plans import (
    CELLS,
    PAIRS,
    TARGETS,
    cell,
    digests,
    explain,
    inputs,
    plan,
    pyg_page,
    reason,
    shipped,
)
from tests.unit.user_errors import answer, mistake, nasty, texts

PYG_PAGE = "https://data.pyg.org/whl/torch-2.11.0%2Bcu128.html"
ENVIRONMENT = ("base", "conda", "torch", "wheels", "pyg")
STAGES = {
    "devel": ("toolkit", *ENVIRONMENT, "video", "pack", "image"),
    "runtime": ("toolkit", *ENVIRONMENT, "video", "runtime-base", "pack", "image"),
    "ray-devel": ("toolkit", *ENVIRONMENT, "video", "ray", "pack", "image"),
    "ray-runtime": ("toolkit", *ENVIRONMENT, "video", "ray", "runtime-base", "pack", "image"),
    "marimo-devel": ("toolkit", *ENVIRONMENT, "video", "ray", "marimo", "pack", "image"),
    "marimo-runtime": ("toolkit", *ENVIRONMENT, "video", "ray", "marimo", "runtime-base", "pack", "image"),
}


def names(made: Plan) -> tuple[str, ...]:
    """Return the names of a plan's stages in order."""
    return tuple(stage.name for stage in made.stages)


def image(made: Plan) -> ImageSpec:
    """Return the configuration of a plan's image."""
    return made.spec("image", ImageSpec)


def labels(made: Plan) -> dict[str, str]:
    """Return the labels of a plan's image."""
    return image(made).all_labels


def ray(mode: str, **others: Any) -> Options:
    """Return options with a Ray mode."""
    return Options.model_validate({"ray": mode, **others})


# -- stages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pair", PAIRS)
def test_the_stages_of_a_target_come_in_the_order_of_their_building(pair: str, target: str) -> None:
    # NVIDIA's devel image has the toolkit: only a runtime needs the trimmed one.
    upstream = STAGES[target] if target.endswith("runtime") else STAGES[target][1:]
    assert names(plan(f"{pair}-{target}")) == upstream
    assert names(plan(f"{pair}-{target}", "registries")) == ("channel", *STAGES[target])


@pytest.mark.parametrize("target", TARGETS)
def test_cpu_images_have_no_toolkit(target: str) -> None:
    assert names(plan(f"cpu-py3.13-{target}")) == STAGES[target][1:]
    assert names(plan(f"cpu-py3.13-{target}", "registries")) == ("channel", *STAGES[target][1:])


def test_a_stage_stands_on_those_that_it_needs() -> None:
    made = plan("cu12.8.1-py3.13-marimo-runtime", "registries")
    assert {stage.name: tuple(parent.name for parent in stage.parents) for stage in made.stages} == {
        "channel": (),
        "toolkit": (),
        "base": ("toolkit",),
        "conda": ("base", "channel"),
        "torch": ("conda",),
        "wheels": ("torch",),
        "pyg": ("torch", "wheels"),
        "video": ("pyg",),
        "ray": ("video",),
        "marimo": ("ray",),
        "runtime-base": ("toolkit",),
        "pack": ("pyg", "marimo"),
        "image": ("runtime-base", "pack"),
    }


def test_a_base_image_that_brings_the_toolkit_gets_no_second_one() -> None:
    for sources_name, adds in (("upstream", False), ("registries", True)):
        made = plan("cu12.8.1-py3.13-runtime", sources_name)
        parents = {stage.name: tuple(parent.name for parent in stage.parents) for stage in made.stages}
        assert made.spec("base", BaseSpec).adds_toolkit is adds
        assert parents["base"] == (("toolkit",) if adds else ())
        assert parents["runtime-base"] == ("toolkit",)
    assert not plan("cpu-py3.13-devel", "registries").spec("base", BaseSpec).adds_toolkit


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
@pytest.mark.parametrize("cell_id", [*CELLS, "cpu-py3.13-marimo-runtime"])
def test_every_parent_is_a_stage_of_the_plan_that_comes_before(cell_id: str, sources_name: str) -> None:
    parse_machine: list[str] = []
    for stage in plan(cell_id, sources_name).stages:
        assert {parent.digest for parent in stage.parents} <= set(parse_machine)
        parse_machine.append(stage.digest)


def test_the_base_image_follows_the_cuda_version() -> None:
    for version in ("12.8.1-py3.13", "13.1.1-py3.14"):
        made = plan(f"cu{version}-runtime")
        cuda = version.split("-", maxsplit=1)[0]
        assert made.spec("base", BaseSpec).image == f"nvidia/cuda:{cuda}-cudnn-devel-ubuntu24.04"
        assert made.spec("runtime-base", RuntimeBaseSpec).image == f"nvidia/cuda:{cuda}-base-ubuntu24.04"
    assert plan("cpu-py3.13-runtime").spec("base", BaseSpec).image == "ubuntu:24.04"
    assert plan("cpu-py3.13-runtime").spec("runtime-base", RuntimeBaseSpec).image == "ubuntu:24.04"


def test_the_conda_environment_is_at_its_final_prefix() -> None:
    spec = plan("cu12.8.1-py3.14-devel").spec("conda", CondaSpec)
    assert spec.prefix == "/opt/env"
    assert spec.packages == ("python=3.14.*", "pip")
    assert spec.channels == ("https://conda.anaconda.org/conda-forge",)
    assert (spec.glibc, spec.cuda) == ("2.39", "12.8")
    assert plan("cpu-py3.13-devel").spec("conda", CondaSpec).cuda is None
    assert plan("cu13.1.1-py3.14-devel", "registries").spec("conda", CondaSpec).channels == ()


def test_torch_comes_from_the_index_of_its_cuda_tag() -> None:
    spec = plan("cu13.1.1-py3.14-devel").spec("torch", InstallSpec)
    assert spec.extra_index == "https://download.pytorch.org/whl/cu130"
    assert spec.requirements.startswith("torch==2.11.0+cu130\ntorchvision==0.26.0+cu130\n")
    assert (spec.hashed, spec.frozen, spec.index) == (False, False, None)


def test_without_a_lock_no_later_stage_may_change_what_is_installed() -> None:
    made = plan("cu12.8.1-py3.13-marimo-devel")
    assert made.spec("pyg", PygSpec).install.frozen
    assert made.spec("ray", RaySpec).install.frozen
    assert made.spec("marimo", InstallSpec).frozen


@pytest.mark.parametrize("cell_id", ["cu12.8.1-py3.13-marimo-devel", "cpu-py3.13-marimo-devel"])
def test_registries_install_locked_versions_by_hash(cell_id: str) -> None:
    made = plan(cell_id, "registries")
    installs = (
        made.spec("torch", InstallSpec),
        made.spec("pyg", PygSpec).install,
        made.spec("ray", RaySpec).install,
        made.spec("marimo", InstallSpec),
    )
    for spec in installs:
        assert (spec.hashed, spec.frozen, spec.index, spec.extra_index) == (True, False, None, None)
        assert "--hash=sha256:" in spec.requirements


def test_a_mirror_is_where_every_package_comes_from() -> None:
    made = plan("cu12.8.1-py3.13-marimo-devel", mirrors='wheels.index = "http://mirror:8080/simple"')
    assert made.spec("torch", InstallSpec).index == "http://mirror:8080/simple"
    assert made.spec("marimo", InstallSpec).index == "http://mirror:8080/simple"


def test_the_memory_of_a_job_reaches_the_compilation() -> None:
    spec = plan("cu12.8.1-py3.13-devel").spec("wheels", WheelsSpec)
    assert (spec.job_gb.cu, spec.job_gb.full_cu, spec.full_headers) == (1.6, 3.5, False)


@pytest.mark.parametrize(
    ("cell_id", "variant", "named"),
    [
        ("cu12.8.1-py3.13-devel", "default", True),
        ("cu12.8.1-py3.13-runtime", "default", True),
        ("cu12.8.1-py3.13-runtime", "slim", True),
        ("cu12.8.1-py3.13-runtime", "minimal", False),
        ("cpu-py3.13-devel", "default", False),
    ],
)
def test_images_that_compile_for_gpus_name_cudas_libraries(
    cell_id: str, variant: str, *, named: bool
) -> None:
    made = image(plan(cell_id, "registries", options=Options(variant=variant)))
    assert made.names_libraries == named == ("LIBRARY_PATH" in dict(made.env))


def test_which_modules_have_no_bytecode_changes_the_environments_files_alone() -> None:
    before = plan("cu12.8.1-py3.13-runtime")
    after = plan("cu12.8.1-py3.13-runtime", changes="[bytecode]\nwithout = []\n")
    assert after.spec("pack", PackSpec).without_bytecode == ("lib/python3.*/site-packages/nvidia/**",)
    changed = digests(after)
    assert {name for name, digest in digests(before).items() if changed[name] != digest} == {"pack", "image"}


def test_symbols_are_stripped_only_when_asked() -> None:
    assert plan("cu12.8.1-py3.13-runtime").spec("pack", PackSpec).strip == "debug"
    stripped = plan("cu12.8.1-py3.13-runtime", options=Options(variant="slim"))
    assert stripped.spec("pack", PackSpec).strip == "unneeded"
    plain = digests(plan("cu12.8.1-py3.13-runtime"))
    assert {name for name, digest in digests(stripped).items() if plain[name] != digest} == {"pack", "image"}


def test_a_spec_is_asked_for_by_its_own_type() -> None:
    with pytest.raises(TypeError, match="stage base has a BaseSpec, not a PackSpec"):
        plan("cu12.8.1-py3.13-devel").spec("base", PackSpec)


# -- digests -------------------------------------------------------------------------------------------------


def all_digests(sources_name: str) -> dict[str, dict[str, str]]:
    """Return the digest of every stage of the eighteen cells."""
    return {cell_id: digests(plan(cell_id, sources_name)) for cell_id in CELLS}


@pytest.mark.parametrize(("sources_name", "channels"), [("upstream", 0), ("registries", 1)])
def test_eighteen_cells_are_built_of_few_stages(sources_name: str, channels: int) -> None:
    distinct = {
        (name, digest) for stages in all_digests(sources_name).values() for name, digest in stages.items()
    }
    counted = Counter(name for name, _ in distinct)
    assert counted == Counter(
        {
            "channel": channels,
            "toolkit": 2,
            "base": 2,
            "conda": 3,
            "torch": 3,
            "wheels": 3,
            "pyg": 3,
            "video": 3,
            "ray": 3,
            "marimo": 3,
            "runtime-base": 2,
            "pack": 9,
            "image": 18,
        }
    )


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
@pytest.mark.parametrize("pair", PAIRS)
def test_all_cells_of_a_pair_share_their_environment(pair: str, sources_name: str) -> None:
    cells = [digests(plan(f"{pair}-{target}", sources_name)) for target in TARGETS]
    for name in ENVIRONMENT:
        assert len({stages[name] for stages in cells}) == 1, name
    for name in ("toolkit", "video", "ray", "marimo", "runtime-base"):
        assert len({stages[name] for stages in cells if name in stages}) == 1, name


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
def test_two_pythons_share_toolkit_and_bases_and_nothing_else(sources_name: str) -> None:
    one = digests(plan("cu12.8.1-py3.13-marimo-runtime", sources_name))
    two = digests(plan("cu12.8.1-py3.14-marimo-runtime", sources_name))
    shared = {name for name in one if one[name] == two[name]}
    assert shared - {"channel"} == {"toolkit", "base", "runtime-base"}


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ('ray.version = "2.61.0"', {"ray", "marimo", "pack", "image"}),
        ('ray.extras = ["data"]', {"ray", "marimo", "pack", "image"}),
        ('marimo.version = "0.26.0"', {"marimo", "pack", "image"}),
        ("marimo.port = 9090", {"image"}),
        ('video.av = "18.0.0"', {"video", "ray", "marimo", "pack", "image"}),
        ('torch.upstream."12.8.1".torchcodec = "0.12.0"', {"video", "ray", "marimo", "pack", "image"}),
        ('pyg.torch-geometric = "2.9.0"', {"pyg", "video", "ray", "marimo", "pack", "image"}),
        (
            'torch.upstream."12.8.1".torch = "2.10.0"',
            {*ENVIRONMENT[2:], "video", "ray", "marimo", "pack", "image"},
        ),
        ('torch.upstream."13.1.1".torch = "2.10.0"', set()),
        (
            'environment.packages = ["numpy>=2.2"]',
            {*ENVIRONMENT[2:], "video", "ray", "marimo", "pack", "image"},
        ),
        ('archs.upstream."12.8.1" = "9.0"', {"wheels", "pyg", "video", "ray", "marimo", "pack", "image"}),
        ('apt.devel = ["gcc"]', {*ENVIRONMENT, "video", "ray", "marimo", "pack", "image"}),
        ('apt.runtime = ["gcc"]', {"runtime-base", "image"}),
        ('image.source = "https://example.org"', {"image"}),
        ('image.user = "someone"', {*ENVIRONMENT, "runtime-base", "video", "ray", "marimo", "pack", "image"}),
        ('cuda."12.8.1".note = "other words"', set()),
    ],
)
def test_a_pin_changes_only_what_is_built_from_it(changes: str, changed: set[str]) -> None:
    before = digests(plan("cu12.8.1-py3.13-marimo-runtime"))
    after = digests(plan("cu12.8.1-py3.13-marimo-runtime", changes=changes))
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
def test_a_newer_ray_leaves_every_stage_below_and_every_cell_without_ray(sources_name: str) -> None:
    changes = 'ray.version = "2.61.0"'
    for cell_id in CELLS:
        before, after = (
            digests(plan(cell_id, sources_name)),
            digests(plan(cell_id, sources_name, changes=changes)),
        )
        for name in ENVIRONMENT:
            assert before[name] == after[name], (cell_id, name)
        changed = {name for name in before if before[name] != after[name]}
        with_ray = "ray" in cell_id or "marimo" in cell_id
        assert ({"ray", "image"} <= changed) if with_ray else not changed, cell_id


def test_every_option_that_changes_an_image_changes_its_digest() -> None:
    options = [
        Options(),
        Options(archs="9.0"),
        Options(variant="slim"),
        ray("nightly"),
        ray("source"),
    ]
    found = [plan("cu12.8.1-py3.13-ray-runtime", options=option).digest for option in options]
    assert len(set(found)) == len(options)


def test_the_profile_and_the_page_are_part_of_the_digest() -> None:
    cell_id = "cu13.1.1-py3.14-devel"
    page = pyg_page(["torch_scatter"], "cp314", tag="cu130")
    found = [plan(cell_id).digest, plan(cell_id, "registries").digest, plan(cell_id, page=page).digest]
    assert len(set(found)) == 3


def test_why_a_page_could_not_be_read_is_told_and_changes_no_digest() -> None:
    one = plan("cu12.8.1-py3.13-devel", page=Page(address=PYG_PAGE, problem="timeout after 30 s"))
    two = plan("cu12.8.1-py3.13-devel", page=Page(address=PYG_PAGE, problem="404"))
    assert one.digest == two.digest
    assert reason(one, "pyg") != reason(two, "pyg")


def test_the_digest_of_a_plan_is_that_of_its_last_stage() -> None:
    made = plan("cu12.8.1-py3.13-devel")
    assert made.digest == made.stages[-1].digest
    assert re.fullmatch("[0-9a-f]{64}", made.digest)


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
@pytest.mark.parametrize("cell_id", ["cu12.8.1-py3.13-marimo-runtime", "cpu-py3.13-devel"])
def test_planning_twice_gives_equal_plans(cell_id: str, sources_name: str) -> None:
    one, two = plan(cell_id, sources_name), plan(cell_id, sources_name)
    assert one == two
    assert digests(one) == digests(two)
    assert one == plan(cell_id, sources_name)  # also after the digests were read


def elsewhere(tmp_path: Path, **environment: str) -> Any:
    """Plan two cells in a fresh interpreter, on what looks like another machine at another time."""
    program = (
        "import sys, json; sys.modules['dagger'] = None\n"
        "from tests.unit.plans import digests, plan\n"
        "ids = ('cu12.8.1-py3.13-marimo-runtime', 'cpu-py3.13-devel')\n"
        "print(json.dumps([digests(plan(i, p)) for i in ids for p in ('upstream', 'registries')]))\n"
    )
    root = str(Path(__file__).parents[3])
    environment = {"PYTHONPATH": root, "PATH": os.defpath, "HOME": str(tmp_path), **environment}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
        timeout=120,
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "LANG": "C", "TZ": "Asia/Tokyo", "USER": "one"},
        {
            "PYTHONHASHSEED": "2",
            "LANG": "tr_TR.UTF-8",
            "TZ": "America/Lima",
            "USER": "two",
            "PYTHONUTF8": "0",
        },
    ],
)
def test_digests_do_not_depend_on_the_process_or_the_machine(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ids = ("cu12.8.1-py3.13-marimo-runtime", "cpu-py3.13-devel")
    here = [
        digests(plan(cell_id, sources_name)) for cell_id in ids for sources_name in ("upstream", "registries")
    ]
    assert elsewhere(tmp_path, **environment) == here


# -- pages and extensions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell_id", "address"),
    [
        ("cu12.8.1-py3.13-devel", PYG_PAGE),
        ("cu13.1.1-py3.14-runtime", "https://data.pyg.org/whl/torch-2.11.0%2Bcu130.html"),
        ("cpu-py3.13-devel", "https://data.pyg.org/whl/torch-2.11.0%2Bcpu.html"),
    ],
)
def test_the_page_of_wheels_is_named_by_torch_and_cuda_tag(cell_id: str, address: str) -> None:
    assert list_extension_pages(cell(cell_id), inputs()) == (address,)
    assert list_extension_pages(cell(cell_id), inputs("registries")) == ()


def test_wheels_are_used_where_the_page_has_all_of_them() -> None:
    made = plan("cu12.8.1-py3.13-devel", page=pyg_page())
    assert not made.has("wheels")
    spec = made.spec("pyg", PygSpec)
    assert [wheel.filename.split("-")[0] for wheel in spec.wheels] == [
        "pyg_lib",
        "torch_scatter",
        "torch_sparse",
        "torch_cluster",
        "torch_spline_conv",
    ]
    assert (spec.compiled, spec.left_out) == ((), ())
    assert reason(made, "pyg") == (
        "pyg-lib 0.8.0: wheel; torch-scatter 2.1.2: wheel; torch-sparse 0.6.18: wheel; "
        "torch-cluster 1.6.3: wheel; torch-spline-conv 1.2.2: wheel"
    )


def test_only_what_has_no_wheel_is_compiled() -> None:
    made = plan("cu12.8.1-py3.13-devel", page=pyg_page(["pyg_lib", "torch_scatter", "torch_sparse"]))
    spec = made.spec("pyg", PygSpec)
    assert [wheel.filename.split("-")[0] for wheel in spec.wheels] == [
        "pyg_lib",
        "torch_scatter",
        "torch_sparse",
    ]
    assert spec.compiled == ("torch-cluster==1.6.3", "torch-spline-conv==1.2.2")
    assert spec.left_out == ()
    write_requirements = made.spec("wheels", WheelsSpec).requirements
    assert re.findall(r"(?m)^[a-z-]+==\S+", write_requirements) == list(spec.compiled)
    assert write_requirements.count("--hash=sha256:") >= 2
    told = "compile (no cp313 wheel on the PyG page for torch 2.11.0+cu128)"
    assert reason(made, "pyg") == (
        "pyg-lib 0.8.0: wheel; torch-scatter 2.1.2: wheel; torch-sparse 0.6.18: wheel; "
        f"torch-cluster 1.6.3: {told}; torch-spline-conv 1.2.2: {told}"
    )
    assert reason(made, "wheels") == (
        "compile torch-cluster==1.6.3, torch-spline-conv==1.2.2 for 7.5 8.0 8.6 9.0 10.0 12.0+PTX"
    )


def test_wheels_of_another_python_are_compiled_instead() -> None:
    spec = plan("cu12.8.1-py3.14-devel", page=pyg_page(abi="cp313")).spec("pyg", PygSpec)
    assert spec.wheels == ()
    assert len(spec.compiled) == 4


def test_an_extension_with_neither_wheel_nor_source_is_left_out_and_told() -> None:
    made = plan("cu12.8.1-py3.13-devel", page=pyg_page(["torch_scatter"]))
    assert made.spec("pyg", PygSpec).left_out == ("pyg-lib",)
    assert (
        "pyg-lib is left out: no cp313 wheel on the PyG page for torch 2.11.0+cu128, "
        "and no source is on the package index"
    ) in made.notes


def test_a_page_that_could_not_be_read_means_compiling_and_says_why() -> None:
    page = Page(address=PYG_PAGE, problem="'status 503'")
    made = plan("cu12.8.1-py3.13-devel", page=page)
    told = "the page of PyG wheels could not be read: 'status 503'"
    assert f"torch-scatter 2.1.2: compile ({told})" in reason(made, "pyg")
    assert f"pyg-lib is left out: {told}, and no source is on the package index" in made.notes
    assert made.has("wheels")


def test_each_cell_is_planned_with_the_page_of_its_own_torch_and_cuda() -> None:
    read = [pyg_page(tag="cu128"), pyg_page(abi="cp314", tag="cu130")]
    pages = {page.address: page for page in read}
    for cell_id, tag in (("cu12.8.1-py3.13-devel", "cu128"), ("cu13.1.1-py3.14-devel", "cu130")):
        made = plan_cell(cell(cell_id), inputs(), pages)
        assert not made.has("wheels")
        assert {wheel.filename.split("pt211")[1][:5] for wheel in made.spec("pyg", PygSpec).wheels} == {tag}


def test_a_page_that_nobody_read_is_told_as_such() -> None:
    assert "could not be read: it was not read" in reason(plan("cu12.8.1-py3.13-devel"), "pyg")


def test_sources_without_a_page_compile_and_say_so() -> None:
    made = plan("cu13.1.1-py3.14-devel", "registries")
    assert "torch-sparse 0.6.18: compile (the sources have no page of PyG wheels)" in reason(made, "pyg")
    assert made.spec("wheels", WheelsSpec).arch_list == "8.0+PTX"


def test_a_cpu_image_compiles_for_no_gpu() -> None:
    made = plan("cpu-py3.13-devel")
    assert made.spec("wheels", WheelsSpec).arch_list is None
    assert reason(made, "wheels").endswith(" for the CPU")
    assert plan("cpu-py3.13-devel", page=pyg_page(tag="cpu")).has("wheels") is False


def test_an_extension_pinned_by_the_user_is_compiled_without_hashes_and_told() -> None:
    changes = 'pyg.extensions.torch-scatter = { version = "2.1.3", sdist = true }'
    made = plan("cu12.8.1-py3.13-devel", changes=changes)
    assert made.spec("wheels", WheelsSpec).requirements.splitlines()[0] == "torch-scatter==2.1.3"
    assert "hash" not in made.spec("wheels", WheelsSpec).requirements
    assert "the lock of PyG's sources is for other pins: taken by version, without hashes" in made.notes


@given(st.lists(texts, max_size=5))
def test_any_links_give_a_plan(links: list[str]) -> None:
    made = plan("cu12.8.1-py3.13-devel", page=Page(address=PYG_PAGE, links=tuple(links)))
    assert made.spec("pyg", PygSpec).wheels == ()


# -- what the user should know -------------------------------------------------------------------------------


def test_registries_say_that_the_compiler_is_debians_and_where_torch_ends() -> None:
    made = plan("cu12.8.1-py3.13-devel", "registries")
    told = "\n".join(made.notes)
    assert "the compiler is Debian's nvcc 12.4.131 with CUDA 12.8 headers" in told
    assert "no sm_100 and newer" in told
    assert "the last torch on PyPI that is built for CUDA 12.8 is 2.10.0" in told
    assert reason(made, "toolkit") == "no nvcc 12.8.1 in wheels: Debian's nvcc 12.4.131, 12.8.1 headers"
    assert made.spec("torch", InstallSpec).requirements.count("torch==2.10.0") == 1
    assert labels(made)["io.cslr-images.toolkit-compiler"] == "nvcc 12.4.131"
    spec = made.spec("toolkit", ToolkitSpec)
    assert (spec.provider, spec.cuda, spec.compiler) == ("hybrid", "12.8.1", "12.4.131")
    assert spec.deb is not None


def test_registries_take_the_compiler_of_13_1_from_wheels() -> None:
    made = plan("cu13.1.1-py3.14-devel", "registries")
    assert reason(made, "toolkit") == "nvcc 13.1.115 from wheels"
    assert made.spec("toolkit", ToolkitSpec).deb is None


def test_a_toolkit_that_no_lock_fits_is_taken_by_version_and_said() -> None:
    locked = plan("cu13.1.1-py3.14-devel", "registries")
    text = locked.spec("toolkit", ToolkitSpec).locked or ""
    assert "nvidia-cuda-nvcc==13.1.115 \\\n    --hash=sha256:" in text
    mirrors = 'toolkit."13.1.1".wheels = ["cuda-toolkit[nvcc]==13.1.0"]'
    made = plan("cu13.1.1-py3.14-devel", "registries", mirrors=mirrors)
    assert made.spec("toolkit", ToolkitSpec).locked is None
    said = "the lock of the CUDA toolkit is for other wheels: taken by version, without hashes"
    assert (said in made.notes, said in locked.notes) == (True, False)
    assert "toolkit" not in " ".join(plan("cpu-py3.13-devel", "registries").notes).replace("no toolkit", "")


def test_upstream_says_what_is_special_about_a_cuda_version() -> None:
    assert "torch 2.11.0 is the last release with cu128 wheels" in plan("cu12.8.1-py3.13-devel").notes[0]
    assert "PyTorch publishes no cu131 wheels" in plan("cu13.1.1-py3.14-devel").notes[0]


def test_nothing_is_noted_where_nothing_is_special() -> None:
    made = plan("cu12.8.1-py3.13-devel", page=pyg_page(), changes='cuda."12.8.1".note = ""')
    assert made.notes == ()


@pytest.mark.parametrize(
    ("cell_id", "told"),
    [
        ("cu12.8.1-py3.13-devel", "torch 2.11.0 built for CUDA 12.8"),
        ("cu13.1.1-py3.14-devel", "torch 2.11.0 built for CUDA 13.0"),
        ("cpu-py3.13-devel", "torch 2.11.0 built for the CPU"),
    ],
)
def test_the_cuda_that_torch_is_built_for_is_told(cell_id: str, told: str) -> None:
    assert reason(plan(cell_id), "torch") == told


NEWER = """
pairs = [{ cuda = "12.9.0", python = "3.13" }]
cuda."12.9.0" = { wheel_tag = "cu129" }
"""
NEWER_TORCH = """
[torch.upstream."12.9.0"]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"
torchcodec = "0.11.1"
"""
NEWER_TOOLKIT = 'toolkit."12.9.0" = { provider = "image", compiler = "12.9.41" }'


@pytest.mark.parametrize(
    ("changes", "mirrors", "message"),
    [
        ("", "", "matrix: [torch.upstream] has no row for CUDA 12.9.0; rows: 12.8.1, 13.1.1, cpu"),
        (NEWER_TORCH, "", "the upstream sources have no toolkit for CUDA 12.9.0; they have: 12.8.1, 13.1.1"),
        (NEWER_TORCH, NEWER_TOOLKIT, "matrix: [archs.upstream] has no row for CUDA 12.9.0"),
    ],
    ids=["torch", "toolkit", "architectures"],
)
def test_a_cuda_version_that_lacks_a_row_is_a_mistake(changes: str, mirrors: str, message: str) -> None:
    assert message == mistake(lambda: plan("cu12.9.0-py3.13-devel", changes=NEWER + changes, mirrors=mirrors))


def test_a_cuda_version_of_ones_own_is_planned_where_all_rows_are_given() -> None:
    options = Options(archs="9.0")
    made = plan("cu12.9.0-py3.13-devel", changes=NEWER + NEWER_TORCH, mirrors=NEWER_TOOLKIT, options=options)
    assert made.spec("torch", InstallSpec).extra_index == "https://download.pytorch.org/whl/cu129"
    assert made.spec("wheels", WheelsSpec).arch_list == "9.0"
    assert made.spec("base", BaseSpec).image == "nvidia/cuda:12.9.0-cudnn-devel-ubuntu24.04"


@pytest.mark.parametrize(
    ("changes", "stage", "asked", "locked"),
    [
        ('ray.version = "2.61.0"', "ray", "ray[data,train,tune,serve]==2.61.0\n", "ray==2.60.0 "),
        ('marimo.version = "0.26.0"', "marimo", "marimo==0.26.0\n", "marimo==0.25.2 "),
        ('torch.registries."12.8.1".torch = "2.9.1"', "torch", "torch==2.9.1\n", "torch==2.10.0 "),
        ('environment.packages = ["not-in-the-lock>=1"]', "torch", "not-in-the-lock>=1\n", "torch==2.10.0 "),
    ],
)
def test_a_lock_yields_to_a_pin_of_ones_own_and_says_so(
    changes: str, stage: str, asked: str, locked: str
) -> None:
    cell_id = "cu12.8.1-py3.13-marimo-devel"
    plain, made = plan(cell_id, "registries"), plan(cell_id, "registries", changes=changes)
    texts_of = [
        next(step.spec.model_dump_json() for step in one.stages if step.name == stage)
        for one in (plain, made)
    ]
    assert locked in texts_of[0]
    assert locked not in texts_of[1]
    assert json.dumps(asked)[1:-1] in texts_of[1]
    note = f"the lock of stage {stage} is for other pins: installed by version, without hashes"
    assert [one for one in made.notes if "the lock of" in one] == [note]
    assert not [one for one in plain.notes if "the lock of" in one]


def test_a_cpu_image_of_registries_promises_the_torch_that_it_gets() -> None:
    made = plan("cpu-py3.13-devel", "registries")
    assert labels(made)["io.cslr-images.torch"] == "2.11.0"
    assert labels(plan("cpu-py3.13-devel"))["io.cslr-images.torch"] == "2.11.0+cpu"
    assert "PyPI's torch for Linux is the CUDA build" in made.notes[0]


def test_a_place_that_an_image_does_not_have_is_a_mistake() -> None:
    assert "has the placeholder {tag}; accepted here: cuda" in mistake(
        lambda: plan("cu12.8.1-py3.13-devel", mirrors='images.devel = "mirror/cuda:{tag}"')
    )


# -- Ray -----------------------------------------------------------------------------------------------------


def test_stable_ray_comes_from_the_package_index() -> None:
    made = plan("cu12.8.1-py3.13-ray-devel")
    spec = made.spec("ray", RaySpec)
    assert (spec.mode, spec.wheel, spec.repository, spec.ref) == ("stable", None, None, None)
    assert spec.install.requirements == "ray[data,train,tune,serve]==2.60.0\n"
    assert reason(made, "ray") == "Ray 2.60.0 from the package index"


@pytest.mark.parametrize(
    ("cell_id", "abi"),
    [
        ("cu12.8.1-py3.13-ray-runtime", "cp313"),
        ("cu12.8.1-py3.14-ray-runtime", "cp314"),
        ("cu13.1.1-py3.14-marimo-devel", "cp314"),
        ("cpu-py3.13-ray-devel", "cp313"),
    ],
)
def test_the_nightly_wheel_is_that_of_the_cells_python(cell_id: str, abi: str) -> None:
    made = plan(cell_id, options=ray("nightly"))
    name = f"ray-3.0.0.dev0-{abi}-{abi}-manylinux2014_x86_64.whl"
    spec = made.spec("ray", RaySpec)
    assert spec.wheel == f"https://s3-us-west-2.amazonaws.com/ray-wheels/latest/{name}"
    assert spec.install.requirements == "ray[data,train,tune,serve]==3.0.0.dev0\n"
    assert not spec.install.hashed
    assert reason(made, "ray") == f"Ray nightly: {name}"
    assert labels(made)["io.cslr-images.ray"] == "3.0.0.dev0"


def test_ray_from_source_is_the_tag_of_the_pinned_release() -> None:
    made = plan("cu12.8.1-py3.13-ray-devel", options=ray("source"))
    spec = made.spec("ray", RaySpec)
    assert (spec.repository, spec.ref) == ("https://github.com/ray-project/ray.git", "ray-2.60.0")
    assert reason(made, "ray") == "Ray 2.60.0 built from source with bazel"
    assert labels(made)["io.cslr-images.ray"] == "2.60.0 (source)"


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("nightly", "the registries sources have no nightly Ray wheels; accepted here: stable"),
        ("source", "the registries sources have no Ray repository; accepted here: stable"),
    ],
)
def test_registries_have_stable_ray_only(mode: str, told: str) -> None:
    assert mistake(lambda: plan("cu12.8.1-py3.13-ray-devel", "registries", options=ray(mode))) == told


@pytest.mark.parametrize("mode", ["nightly", "source"])
def test_the_ray_mode_does_not_matter_where_there_is_no_ray(mode: str) -> None:
    assert plan("cu12.8.1-py3.13-runtime", options=ray(mode)) == plan("cu12.8.1-py3.13-runtime")


@pytest.mark.parametrize("mode", ["stable", "nightly", "source"])
def test_there_are_three_ray_modes(mode: str) -> None:
    assert parse_ray_mode(mode) == mode


@nasty
def test_any_other_ray_mode_is_a_mistake(value: str) -> None:
    assert mistake(lambda: parse_ray_mode(value)).endswith("accepted: stable, nightly, source")


# -- images --------------------------------------------------------------------------------------------------


OWN, DRIVER = "/home/cslr/.local/bin", "/usr/local/nvidia/bin"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize(
    ("cell_id", "path"),
    [
        (
            "cu12.8.1-py3.13-devel",
            f"{OWN}:/opt/env/bin:/usr/local/cuda/bin:/opt/tools/bin:{DRIVER}:{SYSTEM_PATH}",
        ),
        ("cu12.8.1-py3.13-runtime", f"{OWN}:/opt/env/bin:/usr/local/cuda/bin:{DRIVER}:{SYSTEM_PATH}"),
        ("cpu-py3.13-devel", f"{OWN}:/opt/env/bin:/opt/tools/bin:{SYSTEM_PATH}"),
        ("cpu-py3.13-runtime", f"{OWN}:/opt/env/bin:{SYSTEM_PATH}"),
    ],
)
def test_what_the_user_installs_comes_first_on_the_path_then_the_environment(cell_id: str, path: str) -> None:
    assert dict(image(plan(cell_id)).env)["PATH"] == path


FOR_ALL = {
    "LANG": "C.UTF-8",
    "PYTHONUSERBASE": "/home/cslr/.local",
    **dict.fromkeys(
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT"),
        "/etc/ssl/certs/ca-certificates.crt",
    ),
    "CONDA_PREFIX": "/opt/env",
}
FOR_THE_USER = {"HOME": "/home/cslr", "USER": "cslr", "LOGNAME": "cslr"}


def test_the_variables_of_an_image() -> None:
    env = dict(image(plan("cu12.8.1-py3.13-runtime")).env)
    del env["PATH"]
    assert env == {
        **FOR_ALL,
        "CUDA_HOME": "/usr/local/cuda",
        "TORCH_CUDA_ARCH_LIST": "7.5 8.0 8.6 9.0 10.0 12.0+PTX",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        "LIBRARY_PATH": "/usr/local/cuda/lib64:/usr/local/cuda/lib64/stubs",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        **FOR_THE_USER,
    }
    cpu = dict(image(plan("cpu-py3.13-runtime")).env)
    del cpu["PATH"]
    assert cpu == FOR_ALL | FOR_THE_USER


def test_a_devel_image_leaves_home_to_whoever_uses_it() -> None:
    assert not set(FOR_THE_USER) & set(dict(image(plan("cu12.8.1-py3.13-devel")).env))


def test_the_architectures_are_those_that_the_image_was_built_for() -> None:
    options = Options(archs="8.0 9.0+PTX")
    assert (
        dict(image(plan("cu12.8.1-py3.13-devel", options=options)).env)["TORCH_CUDA_ARCH_LIST"]
        == "8.0 9.0+PTX"
    )
    made = plan("cu12.8.1-py3.13-runtime", "registries")
    assert dict(image(made).env)["TORCH_CUDA_ARCH_LIST"] == "8.0+PTX"


@pytest.mark.parametrize(
    "cell_id", ["cu12.8.1-py3.13-devel", "cu12.8.1-py3.13-runtime", "cpu-py3.13-runtime"]
)
def test_login_shells_get_all_variables_but_those_of_one_user(cell_id: str) -> None:
    env = image(plan(cell_id)).env
    usual = {name for name, _ in env if name not in FOR_THE_USER}
    assert set(profile_arguments(env)) == usual


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
@pytest.mark.parametrize("target", TARGETS)
def test_the_labels_say_what_is_inside(target: str, sources_name: str) -> None:
    made = plan(f"cu12.8.1-py3.13-{target}", sources_name)
    expected = {
        "org.opencontainers.image.title": f"cu12.8.1-py3.13-{target}",
        "org.opencontainers.image.source": "https://hub.docker.com/r/plumiiume/cslr-exp-platform",
        "io.cslr-images.cuda": "12.8.1",
        "io.cslr-images.python": "3.13",
        "io.cslr-images.target": target,
        "io.cslr-images.sources": sources_name,
        "io.cslr-images.torch-geometric": "2.8.1",
        "io.cslr-images.toolkit": "12.8.1",
        "io.cslr-images.av": "18.1.0",
    }
    if sources_name == "upstream":
        expected |= {
            "io.cslr-images.torch": "2.11.0+cu128",
            "io.cslr-images.torchvision": "0.26.0",
            "io.cslr-images.torchaudio": "2.11.0",
            "io.cslr-images.torchcodec": "0.11.1",
            "io.cslr-images.toolkit-compiler": "nvcc 12.8.93",
            "io.cslr-images.archs": "7.5 8.0 8.6 9.0 10.0 12.0+PTX",
        }
    else:
        expected |= {
            "io.cslr-images.torch": "2.10.0+cu128",
            "io.cslr-images.torchvision": "0.25.0",
            "io.cslr-images.torchaudio": "2.10.0",
            "io.cslr-images.torchcodec": "0.10.0",
            "io.cslr-images.toolkit-compiler": "nvcc 12.4.131",
            "io.cslr-images.archs": "8.0+PTX",
        }
    if target.endswith("runtime"):
        expected["io.cslr-images.variant"] = "default"
    if target.startswith(("ray", "marimo")):
        expected["io.cslr-images.ray"] = "2.60.0"
    if target.startswith("marimo"):
        expected["io.cslr-images.marimo"] = "0.25.2"
    assert labels(made) == expected
    assert list(image(made).all_labels.items()) == sorted(expected.items())


def test_a_cpu_image_names_no_compiler_and_no_architectures() -> None:
    assert not {"io.cslr-images.toolkit-compiler", "io.cslr-images.archs"} & set(
        labels(plan("cpu-py3.13-devel"))
    )
    assert labels(plan("cpu-py3.13-devel"))["io.cslr-images.cuda"] == "cpu"


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_marimo_runtime_serves(target: str) -> None:
    spec = image(plan(f"cu12.8.1-py3.13-{target}"))
    assert spec.entrypoint == ("tini", "--")
    assert spec.port == (8080 if target.startswith("marimo") else None)
    if target == "marimo-runtime":
        assert " ".join(spec.args) == "marimo edit --headless --host 0.0.0.0 --port 8080 --no-token"
    else:
        assert spec.args == ("bash",)


def test_the_port_of_marimo_is_that_of_the_matrix() -> None:
    spec = image(plan("cu12.8.1-py3.13-marimo-runtime", changes="marimo.port = 9090"))
    assert spec.port == 9090
    assert spec.args[spec.args.index("--port") + 1] == "9090"


@pytest.mark.parametrize("target", TARGETS)
def test_the_user_and_its_folder(target: str) -> None:
    made = plan(f"cu12.8.1-py3.13-{target}")
    assert image(made).kind == target.split("-")[-1]
    account = image(made).account
    assert (account.user, account.uid, account.workdir) == ("cslr", 1000, "/workspace")
    assert (account.number, account.home) == ("1000:1000", "/home/cslr")
    assert made.spec("base", BaseSpec).account == account
    if image(made).kind == "runtime":
        assert made.spec("runtime-base", RuntimeBaseSpec).account == account


# -- GPU architectures ---------------------------------------------------------------------------------------


def test_architectures_of_the_caller_go_before_those_of_the_matrix() -> None:
    made = plan("cu12.8.1-py3.13-devel", options=Options(archs="8.0 9.0+PTX"))
    assert made.spec("wheels", WheelsSpec).arch_list == "8.0 9.0+PTX"
    assert labels(made)["io.cslr-images.archs"] == "8.0 9.0+PTX"
    changed = digests(plan("cu12.8.1-py3.13-devel"))
    assert {name for name, digest in digests(made).items() if changed[name] != digest} == {
        "wheels",
        "pyg",
        "video",
        "pack",
        "image",
    }


def test_a_cpu_image_has_no_architectures_even_when_they_are_given() -> None:
    assert plan("cpu-py3.13-devel", options=Options(archs="9.0")) == plan("cpu-py3.13-devel")


@pytest.mark.parametrize("value", ["8.0", "8.0 9.0+PTX", "7.5;8.0;9.0a", "10.0 12.0f+PTX"])
def test_lists_of_architectures_are_accepted_as_torch_writes_them(value: str) -> None:
    assert parse_archs(value) == value


@nasty
def test_a_nasty_list_of_architectures_is_a_mistake(value: str) -> None:
    assert mistake(lambda: parse_archs(value)).startswith("bad list of GPU architectures ")


NO_LISTS = [
    "8",
    "8.00",
    "100.0",
    "8.0,9.0",
    "sm_80",
    "Ampere",
    " 8.0",
    "8.0 ",
    "8.0  9.0",
    "8.0+ptx",
    "8.0+PTX+PTX",
]


@pytest.mark.parametrize("value", [*NO_LISTS, "8.0\n", "8.0\n9.0", "8.0; id", "8.0 --x", "\u0668.0"])
def test_anything_else_is_no_list_of_architectures(value: str) -> None:
    assert "accepted: numbers such as '8.0 9.0+PTX'" in mistake(lambda: parse_archs(value))


@given(texts | st.text(alphabet="0189. ;+PTXa\n$", max_size=20))
def test_a_list_that_is_accepted_holds_nothing_else(value: str) -> None:
    if answer(lambda: parse_archs(value)) is not None:
        assert re.fullmatch(r"[0-9a-z.+PTX ;]+", value)
        assert (
            plan("cu12.8.1-py3.13-devel", options=Options(archs=value)).spec("wheels", WheelsSpec).arch_list
            == value
        )


# -- whatever the documents hold -----------------------------------------------------------------------------


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List the path of everything in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [
        *([path] if path else []),
        *(found for key, item in below for found in places(item, (*path, key))),
    ]


def replaced(data: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Return a copy of a document with one value replaced."""
    if not path:
        return value
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


MATRIX = tomllib.loads(shipped("matrix.toml"))
SOURCES = read_profiles()["registries"]
words = st.sampled_from(
    ["cpu", "12.8.1", "13.1.1", "3.14", "a", "1", "1.0", "8.0", "/a", "a==1", "cu999", "http://h/{tag}"]
)
anything = st.recursive(
    words | st.none() | st.booleans() | st.integers(0, 70_000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(places(MATRIX)), anything)
def test_every_cell_of_any_matrix_that_is_accepted_is_planned_or_refused(
    path: tuple[str | int, ...], value: object
) -> None:
    matrix = answer(lambda: load_model(replaced(MATRIX, path, value), Matrix, "matrix.toml"))
    stand = inputs()
    if matrix:
        for sources_name in ("upstream", "registries"):
            changed = PlanInputs(
                matrix=matrix,
                sources_name=sources_name,
                sources=read_sources(sources_name),
                locks=stand.locks,
                code=stand.code,
            )
            for one in matrix.cells[::5]:
                made = answer(partial(plan_cell, one, changed, {PYG_PAGE: pyg_page()}))
                assert made is None or (explain(made) and checks_for(made))


@given(st.sampled_from(places(SOURCES)), anything)
def test_every_cell_is_planned_from_any_sources_that_are_accepted_or_refused(
    path: tuple[str | int, ...], value: object
) -> None:
    sources = answer(lambda: load_model(replaced(SOURCES, path, value), Sources, "sources.toml"))
    stand = inputs("registries")
    if sources:
        changed = PlanInputs(
            matrix=stand.matrix,
            sources_name="registries",
            sources=sources,
            locks=stand.locks,
            code=stand.code,
        )
        for one in stand.matrix.cells[::5]:
            answer(partial(list_extension_pages, one, changed))
            answer(partial(plan_cell, one, changed, {}))


def test_the_six_images_of_a_pair_share_the_layers_of_their_environment() -> None:
    plans = {target: plan(f"cu12.8.1-py3.13-{target}", "registries") for target in TARGETS}
    assert len({layer_key(made, "pack") for made in plans.values()}) == 1
    for layer in ("ray", "marimo"):
        assert len({layer_key(made, layer) for made in plans.values() if made.has(layer)}) == 1
    slim = plan("cu12.8.1-py3.13-runtime", "registries", options=Options(variant="slim"))
    assert layer_key(slim, "pack") != layer_key(plans["runtime"], "pack")
    assert layer_key(slim, "runtime-base") == layer_key(plans["runtime"], "runtime-base")


def test_cudas_libraries_are_a_layer_that_both_pythons_of_a_line_share() -> None:
    one, two = (plan(f"cu12.8.1-py{python}-ray-runtime", "registries") for python in ("3.13", "3.14"))
    assert layer_key(one, "libraries") == layer_key(two, "libraries")
    assert layer_key(one, "pack") != layer_key(two, "pack")
    other = plan("cu13.1.1-py3.14-ray-runtime", "registries")
    slim = plan("cu12.8.1-py3.13-ray-runtime", "registries", options=Options(variant="slim"))
    assert len({layer_key(made, "libraries") for made in (one, other, slim)}) == 3


@pytest.mark.parametrize("change", ['strip = "no"', "rules = []"])
def test_libraries_that_are_stripped_or_trimmed_otherwise_are_another_layer(change: str) -> None:
    cell_id, usual = "cu12.8.1-py3.13-ray-runtime", Options(variant="slim")
    changes = f"[variants.slim]\n{change}\n"
    one, two = plan(cell_id, options=usual), plan(cell_id, options=usual, changes=changes)
    assert one.spec("pack", PackSpec).libraries
    assert layer_key(one, "libraries") != layer_key(two, "libraries")
    assert layer_key(one, "pack") != layer_key(two, "pack")


@pytest.mark.parametrize(("sources_name", "pins"), [("registries", "nvidia-cublas==13"), ("upstream", None)])
def test_without_a_gpu_the_libraries_are_a_layer_where_torch_brings_them(
    sources_name: str, pins: str | None
) -> None:
    libraries = plan("cpu-py3.13-runtime", sources_name).spec("pack", PackSpec).libraries
    assert libraries is None if pins is None else libraries and libraries.startswith(pins)


def test_a_nightly_ray_takes_no_lock_of_a_release() -> None:
    nightly = "[wheels]\nray_nightly = 'https://example.org/{wheel}'\n"
    made = plan("cu12.8.1-py3.13-ray-runtime", "registries", mirrors=nightly, options=ray("nightly"))
    assert not made.spec("ray", RaySpec).install.hashed
    assert plan("cu12.8.1-py3.13-ray-runtime", "registries").spec("ray", RaySpec).install.hashed
