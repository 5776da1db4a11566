"""What is newer and what it would do, by recordings of PyPI and stand-ins for the rest; what is not read is said."""

import json
from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ci.index.lookup import IndexQuery, IndexResponse
from ci.updates.feasibility import UpdateContext
from ci.updates.model import OutdatedPin
from ci.updates.outdated import find_outdated
from ci.updates.render import render_json, render_text
from tests.unit.fake_indexes import (
    CHANNEL,
    PINS,
    TAGS,
    FakeIndexes,
    pyg_address,
    recorded,
    settle,
    simple_page,
    tags,
    upstream,
)

Found = dict[str, OutdatedPin]
COMPILED = dict.fromkeys(("torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv"), "compile")


def look(context: UpdateContext, indexes: FakeIndexes) -> Found:
    """Look at everything, by name."""
    return {one.name: one for one in settle(context, indexes, find_outdated)}


def told(context: UpdateContext, indexes: FakeIndexes) -> str:
    """Look at everything, in words."""
    return render_text(context, settle(context, indexes, find_outdated))


def states(found: OutdatedPin, version: str) -> dict[str, str]:
    """Return what becomes of the cells of an offer."""
    offer = next(one for one in found.offers if one.version == version)
    return {cell: effect.state for effect in offer.effects for cell in effect.cells}


# -- the package index alone: what PyPI served ---------------------------------------------------------------


def test_the_torch_that_is_taken_is_the_newest_built_for_the_rows_cuda() -> None:
    found = look(*recorded())
    rows = {name: (found[name].newest, found[name].takes) for name in found if name.startswith("torch@")}
    assert rows == {
        "torch@12.8.1": ("2.15.0", "2.10.0"),
        "torch@13.1.1": ("2.15.0", "2.14.1"),
        "torch@cpu": ("2.15.0", "2.15.0"),
    }


def test_what_goes_with_torch_is_what_says_so() -> None:
    offers = {
        offer.version: offer
        for name in ("torch@12.8.1", "torch@13.1.1")
        for offer in look(*recorded())[name].offers
    }
    assert offers["2.10.0"].goes_with == {"torchvision": "0.25.0", "torchaudio": "2.10.0"}
    # 0.29.0 wants torch 2.14.0, 0.29.2 any from there on; torchaudio 2.11.0 wants none.
    assert offers["2.14.1"].goes_with == {"torchvision": "0.29.2", "torchaudio": "2.11.0"}
    assert "torchaudio 2.11.0 does not say which torch it goes with" in offers["2.14.1"].facts


def test_a_torch_for_another_cuda_makes_cells_impossible() -> None:
    context, indexes = recorded()
    found = look(context, indexes)["torch@12.8.1"]
    assert set(states(found, "2.15.0").values()) == {"impossible"}
    assert len(states(found, "2.15.0")) == 12
    assert found.offers[0].effects[0].why == ("torch 2.15.0 is built for CUDA 13.2: no cu128",)
    assert found.offers[0].facts == ("torch 2.15.0 for CUDA 13.2: cp313 cp314 cp315",)


def test_extensions_are_compiled_where_the_sources_have_no_page_of_wheels() -> None:
    offer = look(*recorded())["torch@13.1.1"].offers[1]
    assert offer.effects[0].extensions == {"pyg-lib": "left out", **COMPILED}


@pytest.mark.parametrize(
    ("name", "newest"), [("torch-sparse", "0.6.18"), ("ray", "2.60.0"), ("marimo", "0.25.2")]
)
def test_a_package_that_every_cell_can_have_is_taken(name: str, newest: str) -> None:
    found = look(*recorded())[name]
    assert (found.newest, found.takes) == (newest, newest)
    assert [offer.effects for offer in found.offers] == [()]


def test_what_is_pinned_and_newest_is_not_offered() -> None:
    found = look(*recorded())["torch-geometric"]
    assert (found.pinned, found.newest, found.takes, found.offers) == ("2.8.1", "2.8.1", None, ())


def test_a_wheel_for_one_python_only_makes_the_cells_of_the_other_impossible() -> None:
    context, indexes = recorded()
    page = simple_page(
        {
            "ray-2.58.1-cp313-cp313-manylinux2014_x86_64.whl": "",
            "ray-2.58.1-cp314-cp314-manylinux2014_x86_64.whl": "",
            "ray-2.60.0-cp313-cp313-manylinux2014_x86_64.whl": "",
        }
    )
    indexes.put(page, name="ray")
    found = look(context, indexes)["ray"]
    assert (found.newest, found.takes) == ("2.60.0", None)
    became = states(found, "2.60.0")
    assert became["cu12.8.1-py3.14-ray-runtime"] == became["cu13.1.1-py3.14-marimo-devel"] == "impossible"
    assert len(became) == 8, "nothing changes in images without Ray, nor in those of Python 3.13"


def test_a_package_that_takes_no_python_of_the_matrix_is_not_taken() -> None:
    context, indexes = recorded()
    indexes.put(
        simple_page(
            {
                "marimo-0.25.1-py3-none-any.whl": "",
                "marimo-0.25.2-py3-none-any.whl": 'data-requires-python="&gt;=3.14"',
            }
        ),
        name="marimo",
    )
    found = look(context, indexes)["marimo"]
    assert found.takes is None
    assert found.offers[0].effects[0].why == ("marimo 0.25.2 does not take Python 3.13",)


def test_cuda_versions_come_from_the_toolkits_packages() -> None:
    found = look(*recorded())
    assert (found["cuda@12.8.1"].newest, found["cuda@13.1.1"].newest) == ("12.8.2", "13.1.2")
    new = found["cuda"]
    assert new.newest == "13.5.0"
    assert new.offers[0].goes_with == {"torch": "2.15.0", "torchvision": "0.29.2", "torchaudio": "2.11.0"}
    assert set(states(new, "13.5.0").values()) == {"possible"}
    assert new.offers[0].facts[0] == "with the cu132 wheels"


def test_the_channel_that_is_made_here_is_told_by_its_recipe() -> None:
    found = look(*recorded())
    assert found["python@3.13"].newest
    assert "what is newer is not looked up" in found["python@3.13"].note
    assert "python" not in found


def test_tools_are_listed_with_the_place_of_their_pins() -> None:
    found = look(*recorded())
    assert found["uv"].newest == "0.13.9"
    assert found["conda-pack"].note == "pinned in requirements/tools.in"


def test_a_pin_that_is_on_no_index_is_said() -> None:
    found = look(*recorded(PINS.replace('version = "2.58.1"', 'version = "2.57.0"')))["ray"]
    assert found.note == "2.57.0 is on no index of these sources, or yanked"
    assert found.takes == "2.60.0"


def test_excluded_cells_stand_in_nobodys_way() -> None:
    exclude = '[[excludes]]\nonly = "cu*-py3.14-*"\nreason = "not yet"\n'
    context, indexes = recorded(PINS + exclude)
    names = ("ray-2.58.1-cp314-cp314", "ray-2.58.1-cp313-cp313", "ray-2.60.0-cp313-cp313")
    indexes.put(simple_page({f"{name}-manylinux2014_x86_64.whl": "" for name in names}), name="ray")
    assert look(context, indexes)["ray"].takes == "2.60.0"


# -- upstream: stand-ins -------------------------------------------------------------------------------------


def test_each_row_of_torch_has_its_own_index() -> None:
    found = look(*upstream())
    assert (found["torch@12.8.1"].newest, found["torch@12.8.1"].takes) == ("2.15.0", None)
    assert (found["torch@13.1.1"].newest, found["torch@13.1.1"].takes) == ("2.15.0", "2.12.0")
    offer = found["torch@13.1.1"].offers[1]
    assert offer.goes_with == {"torchvision": "0.27.0", "torchaudio": "2.11.0"}
    assert offer.facts[0] == "torch 2.12.0 for cu130: cp313 cp314 cp315; cpu: cp313 cp314 cp315"
    why = found["torch@12.8.1"].offers[0].effects[0].why
    assert why == ("torch 2.15.0+cu128 is not on the index",)


def test_a_new_torch_may_turn_wheels_into_compiling() -> None:
    context, indexes = upstream()
    now = settle(context, indexes, lambda context: context.check_pair("13.1.1", "3.14")).extensions
    assert now == {"pyg-lib": "wheel", **COMPILED, "torch-scatter": "wheel"}
    after = look(*upstream())["torch@13.1.1"].offers[1].effects[0].extensions
    assert after == {"pyg-lib": "wheel", **COMPILED}


def test_an_extension_that_would_be_lost_stops_a_torch() -> None:
    context, indexes = upstream()
    indexes.fail(pyg_address("2.12.0", "cu130"), status=404)
    found = look(context, indexes)["torch@13.1.1"]
    assert found.takes is None


def test_a_new_cuda_is_judged_for_each_python() -> None:
    found = look(*upstream())["cuda"]
    became = states(found, "13.2.0")
    assert became["cu13.2.0-py3.13-devel"] == "impossible"
    assert became["cu13.2.0-py3.14-marimo-runtime"] == "possible"
    assert "13.3.0" not in found.note


def test_a_schedule_does_not_hinder_a_look_at_a_new_cuda() -> None:
    run = '{ weekday = "Monday", at = "02:00", phases = [1] }'
    found = look(*upstream(f"[schedule]\nruns = [{run}]\n"))["cuda"]
    assert states(found, "13.2.0")["cu13.2.0-py3.14-runtime"] == "possible"


def test_a_cuda_without_wheels_of_its_minor_takes_those_of_an_older_one() -> None:
    for cuda, told in (
        ("13.4.0", "with the cu132 wheels"),
        ("14.1.0", "there are no wheels of torch: cu141, cu140"),
    ):
        context, indexes = upstream()
        indexes.put(tags("12.8.1", "13.1.1", cuda), TAGS)
        assert look(context, indexes)["cuda"].offers[0].facts[0] == told


def test_a_cuda_whose_image_is_gone_is_said() -> None:
    context, indexes = upstream()
    indexes.put(tags("13.1.1"), TAGS)
    found = look(context, indexes)["cuda@12.8.1"]
    assert (found.newest, found.note) == (None, "12.8.1 is no longer there")


def test_a_new_python_needs_a_newer_torch_and_has_no_ray() -> None:
    context, indexes = upstream()
    found = look(context, indexes)["python"]
    assert found.newest == "3.15.1"
    became = states(found, "3.15")
    assert became["cu13.1.1-py3.15-runtime"] == "possible"
    assert became["cu13.1.1-py3.15-ray-runtime"] == became["cu12.8.1-py3.15-devel"] == "impossible"
    why = {effect.cells[0]: effect.why for effect in found.offers[0].effects}
    assert why["cu13.1.1-py3.15-devel"] == ("needs torch 2.12.0, 2.11.0 is pinned",)


def test_pypy_and_free_threaded_pythons_are_not_the_environments() -> None:
    context, indexes = upstream()
    indexes.put(
        '[["3.13.5", "h_0_cp313"], ["3.14.9", "h_0_cp314t"], ["3.14.8", "1_pypy314"]]', CHANNEL, "python"
    )
    found = look(context, indexes)
    assert (found["python@3.13"].newest, found["python@3.14"].newest) == ("3.13.5", None)


def test_a_newer_extension_is_found_on_pygs_pages() -> None:
    context, indexes = upstream()
    for torch, tag in (("2.11.0", "cu128"), ("2.11.0", "cu130")):
        rows = [f"pyg_lib-{v}%2Bpt211{tag}-cp310-abi3-linux_x86_64.whl" for v in ("0.8.0", "0.9.0")]
        indexes.put("".join(f'<a href="{row}">x</a>' for row in rows), pyg_address(torch, tag))
    found = look(context, indexes)["pyg-lib"]
    assert (found.pinned, found.newest, found.takes) == ("0.8.0", "0.9.0", "0.9.0")


# -- what cannot be read -------------------------------------------------------------------------------------


def test_an_index_that_does_not_answer_is_said_and_nothing_guessed() -> None:
    context, indexes = recorded()
    indexes.fail(name="ray")
    found = settle(context, indexes, find_outdated)
    ray = next(one for one in found if one.name == "ray")
    assert (ray.newest, ray.takes, ray.offers) == (None, None, ())
    assert ray.problem == "https://index.example/simple/ray/: [Errno 111] Connection refused"
    assert "not read: https://index.example/simple/ray/: [Errno 111] Connection refused\n" in render_text(
        context, found
    )
    assert next(one for one in found if one.name == "marimo").takes == "0.25.2", "the others are looked at"


@pytest.mark.parametrize(
    ("address", "name", "unknown"),
    [
        (TAGS, "", {"cuda"}),
        (CHANNEL, "python", {"python"}),
        ("https://download.pytorch.org/whl/cu130", "torch", {"torch@13.1.1"}),
        (pyg_address("2.11.0", "cu128"), "", {"pyg-lib", *COMPILED}),
        ("", "torch-geometric", {"torch-geometric"}),
        ("", "uv", {"uv"}),
    ],
)
def test_each_source_fails_for_itself(address: str, name: str, unknown: set[str]) -> None:
    context, indexes = upstream()
    indexes.fail(address, name)
    found = look(context, indexes)
    assert {one.name for one in found.values() if one.problem} == unknown
    assert all(found[one].newest is None or one == "uv" for one in unknown)


def test_metadata_that_cannot_be_read_leaves_a_torch_unknown() -> None:
    context, indexes = recorded()
    page = context.index_cache
    settle(context, indexes, lambda context: context.index_cache.project("torchvision"))
    wheel = next(one for one in page.project("torchvision").files_for("0.29.2") if one.fits("3.13", "2.36"))
    indexes.fail(wheel.address)
    found = look(context, indexes)["torch@13.1.1"]
    assert found.takes is None
    assert set(states(found, found.offers[0].version).values()) <= {"impossible", "unknown"}


def test_every_page_is_asked_for_once() -> None:
    context, indexes = upstream()
    settle(context, indexes, find_outdated)
    assert len(indexes.queries) == len(set(indexes.queries))
    assert IndexQuery(kind="tags", address=TAGS) in indexes.queries


GARBAGE = [
    "",
    "<p>log in</p>",
    "{",
    '{"tags": ["99999999999.1.1-base-ubuntu24.04", "13.10.0-base-ubuntu24.04", "13.10.0-cudnn-devel-ubuntu24.04"]}',
    '[["4.0.0", "h"], ["3.999.1", "h"], ["3.15.1", "h_cp315"], ["x", "y"]]',
    simple_page({f"{name}-{'9' * 50}-py3-none-any.whl": "" for name in ("torch", "ray", "marimo")}),
    simple_page({f"{name}-1!9.9+cu130-py3-none-any.whl": "" for name in ("torch", "ray", "torchvision")}),
    simple_page({"torch-99.0+cu130-py3-none-any.whl": 'data-core-metadata="true" data-requires-python="?"'}),
    "Requires-Dist: nvidia-cuda-runtime==13.*\nRequires-Dist: torch===x\n",
    "Requires-Dist: cuda-toolkit==13.10.1\n",
]


@settings(max_examples=25, phases=[Phase.generate])  # shrinking would take minutes
@given(st.data())
def test_whatever_indexes_answer_it_is_told_in_printable_lines(data: st.DataObject) -> None:
    for context, indexes in (recorded(), upstream()):
        answer = indexes.answer

        def mixed(query: IndexQuery, answer: Callable[[IndexQuery], IndexResponse] = answer) -> IndexResponse:
            good = answer(query)
            bad = data.draw(st.none() | st.sampled_from([*GARBAGE, 403, 500]))
            if isinstance(bad, int):
                return good.model_copy(update={"status": bad, "problem": "HTTP\n\x1b[2K", "bodies": ()})
            return good if bad is None else good.model_copy(update={"bodies": (bad,), "problem": None})

        indexes.answer = mixed  # type: ignore[method-assign]
        assert all(line.isprintable() for line in told(context, indexes).splitlines())


# -- told ----------------------------------------------------------------------------------------------------


def test_the_text_has_a_line_for_each_pin_and_groups_cells() -> None:
    lines = told(*recorded()).splitlines()
    assert "torch@13.1.1       2.11.0     2.15.0     2.14.1" in lines
    assert (
        "      cu13.1.1-py3.14-*: possible: left out: pyg-lib; "
        "compile: torch-scatter, torch-sparse, torch-cluster, torch-spline-conv"
    ) in lines
    assert "    0.25.2: no cell changes" in lines
    assert any("cu13.1.1-py3.15-{devel,runtime}: possible" in line for line in told(*upstream()).splitlines())


def test_the_json_has_everything() -> None:
    context, indexes = recorded()
    indexes.fail(name="uv")
    data = json.loads(render_json(context, settle(context, indexes, find_outdated)))
    assert data["sources"] == "registries"
    assert [one["address"] for one in data["unread"]] == ["https://index.example/simple/uv/"]
    (row,) = (one for one in data["findings"] if one["name"] == "torch@13.1.1")
    assert row["takes"] == "2.14.1"
    assert row["offers"][1]["effects"][0]["extensions"]["torch-sparse"] == "compile"
