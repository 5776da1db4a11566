"""Newer versions and their impact are found in recordings of PyPI and in stand-ins for the rest."""

import pytest

from ci.index.lookup import IndexQuery
from ci.updates.outdated import find_outdated
from ci.updates.render import render_text
from tests.unit.fake_indexes import (
    CHANNEL,
    COMPILED,
    PINS,
    TAGS,
    cell_states,
    outdated_by_name,
    pyg_address,
    recorded,
    settle,
    simple_page,
    upstream,
)

# -- the package index alone: what PyPI served ---------------------------------------------------------------


def test_a_torch_for_another_cuda_makes_cells_impossible() -> None:
    context, indexes = recorded()
    found = outdated_by_name(context, indexes)["torch@12.8.1"]
    assert set(cell_states(found, "2.15.0").values()) == {"impossible"}
    assert len(cell_states(found, "2.15.0")) == 12
    assert found.offers[0].effects[0].why == ("torch 2.15.0 is built for CUDA 13.2: no cu128",)
    assert found.offers[0].facts == ("torch 2.15.0 for CUDA 13.2: cp313 cp314 cp315",)


def test_extensions_are_compiled_where_the_sources_have_no_page_of_wheels() -> None:
    offer = outdated_by_name(*recorded())["torch@13.1.1"].offers[1]
    assert offer.effects[0].extensions == {"pyg-lib": "left out", **COMPILED}


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
    found = outdated_by_name(context, indexes)["ray"]
    assert (found.newest, found.takes) == ("2.60.0", None)
    became = cell_states(found, "2.60.0")
    assert became["cu12.8.1-py3.14-ray-runtime"] == became["cu13.1.1-py3.14-marimo-devel"] == "impossible"
    assert len(became) == 8, "nothing changes in images without Ray, nor in those of Python 3.13"


def test_the_pythons_of_the_channel_that_is_made_here_come_from_its_recipe() -> None:
    found = outdated_by_name(*recorded())
    assert found["python@3.13"].newest
    assert "what is newer is not looked up" in found["python@3.13"].note
    assert "python" not in found


def test_tools_are_listed_with_the_place_of_their_pins() -> None:
    found = outdated_by_name(*recorded())
    assert found["uv"].newest == "0.13.9"
    assert found["conda-pack"].note == "pinned in requirements/tools.in"


def test_a_pin_that_is_on_no_index_has_a_note() -> None:
    found = outdated_by_name(*recorded(PINS.replace('version = "2.58.1"', 'version = "2.57.0"')))["ray"]
    assert found.note == "2.57.0 is on no index of these sources, or yanked"
    assert found.takes == "2.60.0"


# -- upstream: stand-ins -------------------------------------------------------------------------------------


def test_a_new_torch_may_turn_wheels_into_compiling() -> None:
    context, indexes = upstream()
    now = settle(context, indexes, lambda context: context.check_pair("13.1.1", "3.14")).extensions
    assert now == {"pyg-lib": "wheel", **COMPILED, "torch-scatter": "wheel"}
    after = outdated_by_name(*upstream())["torch@13.1.1"].offers[1].effects[0].extensions
    assert after == {"pyg-lib": "wheel", **COMPILED}


def test_a_new_python_needs_a_newer_torch_and_has_no_ray() -> None:
    context, indexes = upstream()
    found = outdated_by_name(context, indexes)["python"]
    assert found.newest == "3.15.1"
    became = cell_states(found, "3.15")
    assert became["cu13.1.1-py3.15-runtime"] == "possible"
    assert became["cu13.1.1-py3.15-ray-runtime"] == became["cu12.8.1-py3.15-devel"] == "impossible"
    why = {effect.cells[0]: effect.why for effect in found.offers[0].effects}
    assert why["cu13.1.1-py3.15-devel"] == ("needs torch 2.12.0, 2.11.0 is pinned",)


def test_pypy_and_free_threaded_pythons_are_ignored() -> None:
    context, indexes = upstream()
    indexes.put(
        '[["3.13.5", "h_0_cp313"], ["3.14.9", "h_0_cp314t"], ["3.14.8", "1_pypy314"]]', CHANNEL, "python"
    )
    found = outdated_by_name(context, indexes)
    assert (found["python@3.13"].newest, found["python@3.14"].newest) == ("3.13.5", None)


# -- what cannot be read -------------------------------------------------------------------------------------


def test_an_index_that_does_not_answer_is_reported_and_nothing_guessed() -> None:
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
def test_a_source_that_fails_makes_only_its_own_pins_unknown(
    address: str, name: str, unknown: set[str]
) -> None:
    context, indexes = upstream()
    indexes.fail(address, name)
    found = outdated_by_name(context, indexes)
    assert {one.name for one in found.values() if one.problem} == unknown
    assert all(found[one].newest is None or one == "uv" for one in unknown)


def test_metadata_that_cannot_be_read_leaves_a_torch_unknown() -> None:
    context, indexes = recorded()
    page = context.index_cache
    settle(context, indexes, lambda context: context.index_cache.project("torchvision"))
    wheel = next(one for one in page.project("torchvision").files_for("0.29.2") if one.fits("3.13", "2.36"))
    indexes.fail(wheel.address)
    found = outdated_by_name(context, indexes)["torch@13.1.1"]
    assert found.takes is None
    assert set(cell_states(found, found.offers[0].version).values()) <= {"impossible", "unknown"}


def test_every_page_is_read_once() -> None:
    context, indexes = upstream()
    settle(context, indexes, find_outdated)
    assert len(indexes.queries) == len(set(indexes.queries))
    assert IndexQuery(kind="tags", address=TAGS) in indexes.queries
