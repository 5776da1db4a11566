"""Ledgers: reading, telling, and the difference between two."""

import json

import pytest

from ci.inspection.sizes import (
    LayerSizes,
    SizeBreakdown,
    combine_layers,
    difference,
    document,
    package_changes,
    read_sizes,
    text,
)
from tests.unit.user_errors import mistake

ONE = SizeBreakdown(
    total=30_000_000,
    layers={"runtime-base": 10_000_000, "pack": 20_000_000},
    packages={"pip:torch": 20_000_000, "debian:gcc-12": 9_000_000, "unowned": 1_000_000},
    kinds={"library": 25_000_000, "python": 5_000_000},
    elf={"gpu": 15_000_000, "code": 10_000_000},
    archs={"sm_80": 15_000_000},
    rows=(("pack", "pip:torch", "library", 20_000_000),),
)


def test_a_ledger_survives_writing_and_reading() -> None:
    assert read_sizes(document(ONE), "sizes.json") == ONE


@pytest.mark.parametrize("given", ["", "[]", "{}", "null", '{"total": "many"}', "\x00"])
def test_what_is_no_ledger_is_a_mistake_in_one_line(given: str) -> None:
    assert mistake(lambda: read_sizes(given, "sizes.json")).startswith("sizes.json: not sizes as")


def test_the_text_has_every_table() -> None:
    told = text(ONE)
    for word in ("30.0 MB in all", "runtime-base", "pip:torch", "library", "gpu", "sm_80"):
        assert word in told


def test_what_is_not_shown_is_summed_up() -> None:
    assert "10.0" in text(ONE, top=1).split("2 others")[1].splitlines()[0]


def test_the_difference_names_what_grew_and_what_went() -> None:
    packages = {"pip:torch": 25_000_000, "unowned": 1_050_000, "pip:ray": 3_000_000}
    after = ONE.model_copy(update={"packages": packages, "total": 29_050_000})
    assert package_changes(ONE, after) == [
        ("debian:gcc-12", -9_000_000),
        ("pip:torch", 5_000_000),
        ("pip:ray", 3_000_000),
    ]
    told = difference(ONE, after)
    assert "30.0 MB before" in told
    assert "package pip:ray" in told
    assert "unowned" not in told


def test_a_ledger_is_plain_json() -> None:
    assert json.loads(document(ONE))["rows"] == [["pack", "pip:torch", "library", 20_000_000]]


def test_the_layers_of_an_image_add_up() -> None:
    def part(size: int, package: str) -> LayerSizes:
        given = {"packages": {package: size}, "kinds": {"library": size}, "elf": {}, "archs": {"sm_80": 1}}
        return LayerSizes.model_validate({"total": size, "rows": ((package, "library", size),), **given})

    found = combine_layers(
        {"base": part(5, "debian:gcc"), "pack": part(70, "pip:torch"), "ray": part(6, "pip:torch")}
    )
    assert found.total == 81
    assert found.layers == {"base": 5, "pack": 70, "ray": 6}
    assert list(found.packages.items()) == [("pip:torch", 76), ("debian:gcc", 5)]
    assert found.archs == {"sm_80": 3}
    assert found.rows[0] == ("pack", "pip:torch", "library", 70)
