"""What plans need from outside, and what a bundle must have for them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ci.plan.bundle_inputs import list_plan_inputs, list_stage_inputs, require_in_bundle
from ci.plan.externals import (
    COMPILER,
    CONDA,
    DEBS,
    ExternalInput,
    image_input,
    system_inputs,
    tools_input,
)
from ci.plan.inputs import Options
from ci.plan.plan import Plan
from ci.programs.make_bundle import Entry, Manifest, read_manifest
from ci.util.errors import UserError
from engine.arguments import complete_arguments, split_bundle_option
from engine.output import EngineError
from tests.unit.plans import plan, pyg_page

CPU = "cpu-py3.13-runtime"
MIRRORS = '[wheels]\nindex = "http://mirror:8080/simple"\n'


def kinds(made: Plan) -> dict[str, int]:
    """Count the needs of a plan by kind."""
    found: dict[str, int] = {}
    for external in list_plan_inputs(made):
        found[external.kind] = found.get(external.kind, 0) + 1
    return found


def needs_of(made: Plan, name: str) -> dict[str, ExternalInput]:
    """Return what one stage needs."""
    return dict(list_stage_inputs(next(stage for stage in made.stages if stage.name == name), made.cell))


def holding(externals: tuple[ExternalInput, ...], cells: tuple[str, ...] = (CPU,)) -> Manifest:
    """Return the list of a bundle that has needs."""
    return Manifest("registries", cells, tuple(external.bundle_path for external in externals), ())


def test_a_cell_without_cuda_needs_no_toolkit() -> None:
    assert kinds(plan(CPU, "registries")) == {"images": 1, "channel": 1, "debs": 2, "wheels": 4, "sdists": 1}


def test_a_compiler_out_of_debian_is_a_need_of_its_own() -> None:
    externals = needs_of(plan("cu12.8.1-py3.13-runtime", "registries"), "toolkit")
    assert externals[COMPILER].name == "nvidia-cuda-toolkit"
    assert externals[COMPILER].key[1:] == (
        "12.4.131~12.4.1-2",
        "cd5fe85aee38d108b315f408a688641478f2402622a10c677478eb7a6c4e5319",
    )


def test_the_channels_and_wheels_of_upstream_are_needs() -> None:
    page = pyg_page(["torch_scatter"])
    made = plan("cu12.8.1-py3.13-ray-runtime", page=page)
    assert needs_of(made, "conda")[CONDA].kind == "channel"
    wheels = [address for address in needs_of(made, "pyg") if address.startswith("https://")]
    assert [address.rsplit("/", 1)[-1] for address in wheels] == [
        "torch_scatter-2.1.2%2Bpt211cu128-cp313-cp313-linux_x86_64.whl"
    ]


def test_a_site_without_the_mirrors_finds_the_same() -> None:
    with_mirrors = plan(CPU, "registries", mirrors=MIRRORS)
    assert list_plan_inputs(with_mirrors) == list_plan_inputs(plan(CPU, "registries"))


def test_cells_of_a_pair_share_what_they_need() -> None:
    folders = {
        target: {
            external.bundle_path for external in list_plan_inputs(plan(f"cpu-py3.13-{target}", "registries"))
        }
        for target in ("runtime", "devel")
    }
    assert folders["devel"] < folders["runtime"], "all but the packages of the runtime base"


def test_an_environment_without_conda_cannot_be_carried() -> None:
    made = plan(CPU, "registries", options=Options(variant="uv"))
    with pytest.raises(UserError, match="without conda goes into no bundle"):
        list_plan_inputs(made)


def test_another_pin_is_another_need() -> None:
    changed = '[marimo]\nversion = "0.1.2"\nport = 8080\n'
    made = plan("cpu-py3.13-marimo-runtime", "registries", changes=changed)
    before = plan("cpu-py3.13-marimo-runtime", "registries")
    new = set(list_plan_inputs(made)) - set(list_plan_inputs(before))
    assert [external.bundle_path.rpartition("-")[0] for external in new] == ["wheels/cpu-py3.13-marimo"]


def test_ray_from_source_cannot_be_carried() -> None:
    made = plan("cu13.1.1-py3.14-ray-devel", options=Options(ray="source"))
    with pytest.raises(UserError, match="Ray built from source goes into no bundle"):
        list_plan_inputs(made)


def test_what_a_bundle_lacks_is_named_with_the_cell() -> None:
    made = plan(CPU, "registries")
    externals = list_plan_inputs(made)
    require_in_bundle(holding(externals), "registries", {CPU: externals})
    lacking = next(external for external in externals if external.kind == "wheels")
    rest = tuple(external for external in externals if external != lacking)
    with pytest.raises(UserError) as caught:
        require_in_bundle(holding(rest), "registries", {CPU: externals})
    assert str(caught.value) == f"the bundle lacks {lacking.bundle_path} for {CPU}; it was made for: {CPU}"
    with pytest.raises(UserError) as caught:
        require_in_bundle(holding(()), "registries", {CPU: externals})
    first, more = externals[0].bundle_path, len(externals) - 1
    assert str(caught.value).startswith(f"the bundle lacks {first} and {more} more for {CPU}; ")


def test_a_bundle_of_other_sources_is_refused() -> None:
    with pytest.raises(UserError, match="give --sources registries"):
        require_in_bundle(holding(()), "upstream", {})


def test_every_need_has_a_place_that_a_bundle_may_have() -> None:
    for cell in (CPU, "cu12.8.1-py3.13-marimo-devel", "cu13.1.1-py3.14-ray-runtime"):
        for sources in ("registries", "upstream"):
            externals = list_plan_inputs(plan(cell, sources))
            assert len({external.bundle_path for external in externals}) == len(externals)
            files = tuple(
                Entry(f"{external.bundle_path}/x", hashlib.sha256(b"").hexdigest(), 0)
                for external in externals
            )
            manifest = replace(holding(externals), files=files)
            assert read_manifest(manifest.text()).below(externals[0].bundle_path) == (files[0],)


def test_debs_of_two_images_are_two_needs() -> None:
    made = plan("cu12.8.1-py3.13-runtime")
    assert needs_of(made, "base")[DEBS].bundle_path != needs_of(made, "runtime-base")[DEBS].bundle_path


def test_images_whose_names_are_alike_are_told_apart() -> None:
    """Their names in a path are the same: what is asked for tells debs, tools and images apart."""
    one, two = "debian:12", "debian-12"
    assert image_input(one).name == image_input(two).name
    pairs = [(system_inputs(name, ("gcc",)), tools_input(name, "uv==1")) for name in (one, two)]
    for this, other in zip(*([*system.values(), tools] for system, tools in pairs), strict=True):
        assert this.kind == other.kind
        assert this.bundle_path != other.bundle_path


# ---- daggerw -------------------------------------------------------------------------------------------------------


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    (tmp_path / "bundle.json").write_text(Manifest("upstream", (CPU,), (), ()).text())
    return tmp_path


@pytest.mark.parametrize("joined", [True, False])
def test_a_bundle_among_the_sources_becomes_what_the_module_takes(carried: Path, joined: bool) -> None:
    given = [f"--sources=bundle:{carried}"] if joined else ["--sources", f"bundle:{carried}"]
    words, bundle = split_bundle_option(["--progress=plain", "call", *given, "build", "--cuda=cpu"])
    wanted = ["--sources", "upstream", "--from-bundle", str(carried)]
    assert words == ["--progress=plain", "call", *wanted, "build", "--cuda=cpu"]
    assert bundle == carried
    assert complete_arguments(words, Path.cwd()) == (words, False)


@pytest.mark.parametrize(
    "words",
    [
        ["call", "--sources=upstream", "cells"],
        ["call", "cells", "--only", "bundle:x"],
        ["functions"],
        ["call", "--sources"],
    ],
)
def test_other_arguments_stay_as_they_are(words: list[str]) -> None:
    assert split_bundle_option(words) == (words, None)


def test_a_folder_that_is_no_bundle_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is not a bundle"):
        split_bundle_option(["call", f"--sources=bundle:{tmp_path}", "cells"])
    (tmp_path / "bundle.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(EngineError, match="not the list of a bundle"):
        split_bundle_option(["call", f"--sources=bundle:{tmp_path}", "cells"])
