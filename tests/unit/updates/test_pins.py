"""A pin goes to the newest version that keeps every cell buildable."""

import pytest

from tests.unit.fake_indexes import (
    PINS,
    outdated_by_name,
    pyg_address,
    recorded,
    recorded_with_video,
    simple_page,
    upstream,
)


def test_the_best_torch_is_the_newest_built_for_the_rows_cuda() -> None:
    found = outdated_by_name(*recorded())
    rows = {name: (found[name].newest, found[name].takes) for name in found if name.startswith("torch@")}
    assert rows == {
        "torch@12.8.1": ("2.15.0", "2.10.0"),
        "torch@13.1.1": ("2.15.0", "2.14.1"),
        "torch@cpu": ("2.15.0", "2.15.0"),
    }


def test_the_companions_of_a_torch_are_those_that_require_it() -> None:
    offers = {
        offer.version: offer
        for name in ("torch@12.8.1", "torch@13.1.1")
        for offer in outdated_by_name(*recorded())[name].offers
    }
    assert offers["2.10.0"].goes_with == {"torchvision": "0.25.0", "torchaudio": "2.10.0"}
    # 0.29.0 wants torch 2.14.0, 0.29.2 any from there on; torchaudio 2.11.0 wants none.
    assert offers["2.14.1"].goes_with == {"torchvision": "0.29.2", "torchaudio": "2.11.0"}
    assert "torchaudio 2.11.0 does not say which torch it goes with" in offers["2.14.1"].facts


@pytest.mark.parametrize(
    ("name", "newest"), [("torch-sparse", "0.6.18"), ("ray", "2.60.0"), ("marimo", "0.25.2")]
)
def test_a_package_that_every_cell_can_have_is_an_upgrade(name: str, newest: str) -> None:
    found = outdated_by_name(*recorded())[name]
    assert (found.newest, found.takes) == (newest, newest)
    assert [offer.effects for offer in found.offers] == [()]


def test_what_is_pinned_and_newest_is_not_offered() -> None:
    found = outdated_by_name(*recorded())["torch-geometric"]
    assert (found.pinned, found.newest, found.takes, found.offers) == ("2.8.1", "2.8.1", None, ())


def test_a_package_that_allows_no_python_of_the_matrix_is_no_upgrade() -> None:
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
    found = outdated_by_name(context, indexes)["marimo"]
    assert found.takes is None
    assert found.offers[0].effects[0].why == ("marimo 0.25.2 does not take Python 3.13",)


def test_excluded_cells_prevent_no_upgrade() -> None:
    exclude = '[[excludes]]\nonly = "cu*-py3.14-*"\nreason = "not yet"\n'
    context, indexes = recorded(PINS + exclude)
    names = ("ray-2.58.1-cp314-cp314", "ray-2.58.1-cp313-cp313", "ray-2.60.0-cp313-cp313")
    indexes.put(simple_page({f"{name}-manylinux2014_x86_64.whl": "" for name in names}), name="ray")
    assert outdated_by_name(context, indexes)["ray"].takes == "2.60.0"


def test_each_row_of_torch_has_its_own_index() -> None:
    found = outdated_by_name(*upstream())
    assert (found["torch@12.8.1"].newest, found["torch@12.8.1"].takes) == ("2.15.0", None)
    assert (found["torch@13.1.1"].newest, found["torch@13.1.1"].takes) == ("2.15.0", "2.12.0")
    offer = found["torch@13.1.1"].offers[1]
    assert offer.goes_with == {"torchvision": "0.27.0", "torchaudio": "2.11.0"}
    assert offer.facts[0] == "torch 2.12.0 for cu130: cp313 cp314 cp315; cpu: cp313 cp314 cp315"
    why = found["torch@12.8.1"].offers[0].effects[0].why
    assert why == ("torch 2.15.0+cu128 is not on the index",)


def test_an_extension_that_would_be_lost_stops_a_torch() -> None:
    context, indexes = upstream()
    indexes.fail(pyg_address("2.12.0", "cu130"), status=404)
    found = outdated_by_name(context, indexes)["torch@13.1.1"]
    assert found.takes is None


def test_a_newer_extension_is_found_on_pygs_pages() -> None:
    context, indexes = upstream()
    for torch, tag in (("2.11.0", "cu128"), ("2.11.0", "cu130")):
        rows = [f"pyg_lib-{v}%2Bpt211{tag}-cp310-abi3-linux_x86_64.whl" for v in ("0.8.0", "0.9.0")]
        indexes.put("".join(f'<a href="{row}">x</a>' for row in rows), pyg_address(torch, tag))
    found = outdated_by_name(context, indexes)["pyg-lib"]
    assert (found.pinned, found.newest, found.takes) == ("0.8.0", "0.9.0", "0.9.0")


def test_pyav_is_looked_up_and_torchcodec_is_told_with_torch() -> None:
    found = outdated_by_name(*recorded_with_video("av-18.2.0-cp311-abi3-manylinux_2_28_x86_64.whl"))
    assert (found["av"].pinned, found["av"].takes) == ("18.1.0", "18.2.0")
    assert "torchcodec" not in found
    facts = found["torch@12.8.1"].offers[-1].facts
    assert "torchcodec 0.10.0 does not say which torch it goes with: its README has a table" in facts
    assert "av" not in outdated_by_name(*recorded())
