"""A build does with PyG extensions what `latest` announces, and obstacles are reported."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.index.lookup import IndexCache
from ci.index.wheels import Page, read_page
from ci.plan.inputs import PlanInputs
from ci.plan.planner import plan_cell
from ci.plan.stages.pyg import PygSpec
from ci.updates.feasibility import UpdateContext
from tests.unit.fake_indexes import (
    FakeIndexes,
    pyg_address,
    recorded_with_video,
    settle,
    simple_page,
    upstream,
)
from tests.unit.plans import EXTENSIONS, cell, inputs

ADDRESS = pyg_address("2.11.0", "cu128")
NAMES = {name.replace("_", "-"): version for name, version in EXTENSIONS.items()}


def planned(plan_inputs: PlanInputs, page: Page | None, python: str = "3.13") -> dict[str, str]:
    """Plan the environment, and return how each extension gets into it."""
    pages = {page.address: page} if page else {}
    plan = plan_cell(cell(f"cu12.8.1-py{python}-devel"), plan_inputs, pages)
    spec = plan.spec("pyg", PygSpec)
    return {
        **dict.fromkeys((wheel.name for wheel in spec.wheels), "wheel"),
        **dict.fromkeys((requirement.partition("==")[0] for requirement in spec.compiled), "compile"),
        **dict.fromkeys(spec.left_out, "left out"),
    }


def announced(plan_inputs: PlanInputs, indexes: FakeIndexes, python: str = "3.13") -> Mapping[str, str]:
    """Check the pair with the same index, and return the state of each extension."""
    context = UpdateContext(plan_inputs, IndexCache())
    return settle(context, indexes, lambda read: read.check_pair("12.8.1", python)).extensions


def with_sources(html: str | None) -> FakeIndexes:
    """Serve PyG's page (404 without one), and a source of every extension."""
    _, indexes = upstream()
    for name, version in NAMES.items():
        indexes.put(simple_page({f"{name.replace('-', '_')}-{version}.tar.gz": ""}), name=name)
    if html is None:
        indexes.fail(ADDRESS, status=404)
    else:
        indexes.put(html, ADDRESS)
    return indexes


names = st.sampled_from([*EXTENSIONS, "torch-scatter", "Torch.Scatter", "torch_spline"])
versions = st.sampled_from([*EXTENSIONS.values(), "2.1.3", "2.1.2.post1", "2.1.2rc1", "02.1.2"])
locals_ = st.sampled_from(
    ["pt211cu128"] * 20 + ["pt211cu130", "pt210cu128", "pt211cpu", "PT211.cu128", "pt211"]
)
interpreters = st.sampled_from(
    [
        "cp313-cp313",
        "cp314-cp314",
        "cp39-abi3",
        "cp314-abi3",
        "cp313-cp313t",
        "cp313-none",
        "py3-none",
        "cp2-cp2",
    ]
)
platforms = st.sampled_from(
    [
        "linux_x86_64",
        "any",
        "manylinux1_x86_64",
        "manylinux2014_x86_64",
        "manylinux_2_28_x86_64",
        "manylinux_2_31_x86_64",
        "manylinux_2_34_x86_64",
        "manylinux_2_36_x86_64",
        "manylinux_2_39_x86_64",
        "manylinux_2_40_x86_64",
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "manylinux_2_28_aarch64",
        "musllinux_1_2_x86_64",
        "win_amd64",
    ]
)


@st.composite
def wheels(draw: st.DrawFn) -> str:
    """Draw a link to a wheel, mostly one of the pinned version."""
    name = draw(names)
    version = draw(st.just(EXTENSIONS.get(name, "2.1.2")) | versions)
    filename = f"{name}-{version}%2B{draw(locals_)}-{draw(interpreters)}-{draw(platforms)}.whl"
    return f'<a href="a/{filename}{draw(st.sampled_from(["", "#sha256=00", "?x"]))}">x</a>'


pages = st.lists(wheels() | st.sampled_from(['<a href="http://[#x">', "<a>", "<p>"]), max_size=12).map(
    "\n".join
)


@settings(max_examples=200)
@given(
    html=pages | st.sampled_from(["", "<![foo[ x", '{"files": []}']),
    glibc=st.sampled_from(["2.28", "2.31", "2.36", "2.39"]),  # torch itself needs 2.28
    python=st.sampled_from(["3.13", "3.14"]),
    sdists=st.sets(st.sampled_from(sorted(NAMES))),
)
def test_latest_and_build_decide_alike_for_the_same_page(
    html: str, glibc: str, python: str, sdists: set[str]
) -> None:
    rows = (
        f"{name} = {{ version = '{version}', sdist = {str(name in sdists).lower()} }}"
        for name, version in NAMES.items()
    )
    plan_inputs = inputs(
        changes="\n".join(["[pyg.extensions]", *rows]), mirrors=f"[images]\nglibc = '{glibc}'"
    )
    plan = planned(plan_inputs, read_page(ADDRESS, html), python)
    if read_page(ADDRESS, html).problem:  # a build compiles then, but nothing is announced
        plan = dict.fromkeys(plan, "unknown")
    assert announced(plan_inputs, with_sources(html), python) == plan


@pytest.mark.parametrize(
    ("platform", "glibc", "state"),
    [
        ("linux_x86_64", "2.36", "wheel"),
        ("manylinux_2_31_x86_64", "2.36", "wheel"),
        ("manylinux_2_31_x86_64", "2.28", "compile"),
        ("manylinux_2_34_x86_64", "2.31", "compile"),
        ("manylinux_2_39_x86_64", "2.36", "compile"),
        ("manylinux_2_39_x86_64", "2.39", "wheel"),
        ("win_amd64", "2.39", "compile"),
    ],
)
def test_both_decide_by_the_glibc_of_the_images(platform: str, glibc: str, state: str) -> None:
    html = f'<a href="torch_scatter-2.1.2%2Bpt211cu128-cp313-cp313-{platform}.whl">x</a>'
    plan_inputs = inputs(mirrors=f"[images]\nglibc = '{glibc}'")
    assert planned(plan_inputs, read_page(ADDRESS, html))["torch-scatter"] == state
    assert announced(plan_inputs, with_sources(html))["torch-scatter"] == state


def test_a_page_that_does_not_exist_is_a_page_without_wheels_for_both() -> None:
    plan = planned(inputs(), Page(address=ADDRESS, problem="HTTP 404", not_found=True))
    assert plan == announced(inputs(), with_sources(None))
    assert plan == {name: "left out" if name == "pyg-lib" else "compile" for name in NAMES}


def test_sources_without_pages_of_wheels_mean_compiling_for_both() -> None:
    plan = planned(inputs("registries"), None)
    assert plan == announced(inputs("registries"), with_sources(""))
    assert plan["torch-scatter"] == "compile"


def test_a_page_that_cannot_be_read_is_compiled_by_a_build_and_unknown_to_latest() -> None:
    indexes = with_sources("")
    indexes.fail(ADDRESS, status=503)
    assert planned(inputs(), Page(address=ADDRESS, problem="HTTP 503"))["torch-scatter"] == "compile"
    assert set(announced(inputs(), indexes).values()) == {"unknown"}


def test_an_extension_to_compile_without_a_source_is_an_obstacle() -> None:
    indexes = with_sources("")
    indexes.fail(name="torch-scatter", status=404)
    context = UpdateContext(inputs(changes="video.enabled = false"), IndexCache())
    found = settle(context, indexes, lambda read: read.check_pair("12.8.1", "3.13"))
    assert found.extensions["torch-scatter"] == "unknown"
    assert [one.why for one in found.obstacles[""]] == [
        "no source of torch-scatter 2.1.2 is on the package index"
    ]


def test_video_without_a_wheel_for_a_python_is_an_obstacle() -> None:
    context, indexes = recorded_with_video()
    only = simple_page({"torchcodec-0.10.0-cp313-cp313-manylinux_2_28_x86_64.whl": ""})
    indexes.put(only, name="torchcodec")
    old = settle(context, indexes, lambda read: read.check_pair("12.8.1", "3.13")).obstacles
    new = settle(context, indexes, lambda read: read.check_pair("12.8.1", "3.14")).obstacles
    assert "" not in old
    assert [one.why for one in new[""]] == ["torchcodec 0.10.0 has no cp314 wheel"]
