"""Variants: what a matrix may say about them, and what is told."""

import pytest

from ci.config.matrix import default_matrix, default_text, read_matrix
from ci.config.variants import Variant, told
from tests.unit.plans import matrix_with
from tests.unit.user_errors import mistake


def test_the_shipped_variants_are_told_with_all_that_they_take_and_give_up() -> None:
    matrix = default_matrix()
    said = told(matrix.variants, matrix.rules, matrix.verify.promises)
    for name, variant in matrix.variants.items():
        assert f"{name}: {variant.note}" in said
        for rule in variant.rules:
            assert matrix.rules[rule].takes in said
        for promise, reason in variant.waives.items():
            assert f"{promise}: {reason}" in said


def test_each_variant_names_the_promises_that_it_keeps() -> None:
    variants = {"one": Variant(), "two": Variant(waives={"imports": "nothing to import"})}
    lines = told(variants, {}, ["versions", "imports"]).splitlines()
    start = "  promises, where they are for its target, "
    assert [line.removeprefix(start) for line in lines if line.startswith(start)] == [
        "versions, imports",
        "versions",
    ]


def test_the_default_variant_waives_nothing_and_full_takes_nothing() -> None:
    variants = default_matrix().variants
    assert (variants["default"].waives, variants["default"].strip, variants["default"].toolkit) == (
        {},
        "debug",
        True,
    )
    full = variants["full"]
    assert (full.rules, full.strip, full.toolkit, full.waives) == ((), "no", True, {})


def test_every_rule_is_noticed_by_a_promise_that_its_variants_keep() -> None:
    matrix = default_matrix()
    for name, variant in matrix.variants.items():
        for rule in variant.rules:
            kept = set(matrix.rules[rule].noticed_by) - set(variant.waives)
            assert kept, f"no promise of {name} would notice that {rule} takes too much"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ('[variants.slim]\nrules = ["archive"]', "archive"),
        ('[variants.slim]\nstrip = "all"', "unneeded"),
        ("[rules.empty]\ntakes = 'x'\nremove = []\nnoticed_by = ['imports']", "remove"),
        ("[rules.free]\ntakes = 'x'\nremove = ['a']\nnoticed_by = []", "noticed_by"),
        ("[rules.odd]\ntakes = 'x'\nremove = ['../a']\nnoticed_by = ['imports']", "remove"),
        ("[rules.odd]\ntakes = 'x'\nremove = ['/a']\nnoticed_by = ['imports']", "remove"),
        ("[variants.slim.waives]\nspeed = 'none'", "speed"),
    ],
)
def test_a_mistake_in_a_variant_is_told_in_one_line(changes: str, said: str) -> None:
    assert said in mistake(lambda: matrix_with(changes))


def test_a_matrix_from_before_variants_had_their_name_is_answered_with_it() -> None:
    older = default_text().replace("[variants.", "[profiles.")
    assert mistake(lambda: read_matrix(older)) == "matrix.toml: key 'profiles' is called 'variants' now"
