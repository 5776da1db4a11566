"""Sizes: reading, writing and formatting them, and the difference between two images."""

import json

import pytest

from ci.inspection.sizes import (
    LayerSizes,
    SizeBreakdown,
    combine_layers,
    format_difference,
    format_sizes,
    package_changes,
    read_sizes,
    serialize_sizes,
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


def test_sizes_survive_writing_and_reading() -> None:
    assert read_sizes(serialize_sizes(ONE), "sizes.json") == ONE


@pytest.mark.parametrize("given", ["", "[]", "{}", "null", '{"total": "many"}', "\x00"])
def test_a_file_without_sizes_is_an_error_in_one_line(given: str) -> None:
    assert mistake(lambda: read_sizes(given, "sizes.json")).startswith("sizes.json: not sizes as")


def test_the_text_has_every_table() -> None:
    text = format_sizes(ONE)
    for word in ("30.0 MB in all", "runtime-base", "pip:torch", "library", "gpu", "sm_80"):
        assert word in text


def test_smaller_rows_are_summed_up() -> None:
    assert "10.0" in format_sizes(ONE, top=1).split("2 others")[1].splitlines()[0]


def test_the_difference_names_packages_that_grew_or_went() -> None:
    packages = {"pip:torch": 25_000_000, "unowned": 1_050_000, "pip:ray": 3_000_000}
    after = ONE.model_copy(update={"packages": packages, "total": 29_050_000})
    assert package_changes(ONE, after) == [
        ("debian:gcc-12", -9_000_000),
        ("pip:torch", 5_000_000),
        ("pip:ray", 3_000_000),
    ]
    text = format_difference(ONE, after)
    assert "30.0 MB before" in text
    assert "package pip:ray" in text
    assert "unowned" not in text


def test_sizes_are_plain_json() -> None:
    assert json.loads(serialize_sizes(ONE))["rows"] == [["pack", "pip:torch", "library", 20_000_000]]


def test_the_layers_of_an_image_add_up() -> None:
    def layer(size: int, package: str) -> LayerSizes:
        given = {"packages": {package: size}, "kinds": {"library": size}, "elf": {}, "archs": {"sm_80": 1}}
        return LayerSizes.model_validate({"total": size, "rows": ((package, "library", size),), **given})

    sizes = combine_layers(
        {"base": layer(5, "debian:gcc"), "pack": layer(70, "pip:torch"), "ray": layer(6, "pip:torch")}
    )
    assert sizes.total == 81
    assert sizes.layers == {"base": 5, "pack": 70, "ray": 6}
    assert list(sizes.packages.items()) == [("pip:torch", 76), ("debian:gcc", 5)]
    assert sizes.archs == {"sm_80": 3}
    assert sizes.rows[0] == ("pack", "pip:torch", "library", 70)
