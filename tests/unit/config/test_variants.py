"""Variants: how a matrix defines them, and how they are described."""

import pytest

from ci.config.matrix import default_matrix, default_text, read_matrix
from ci.config.variants import Variant, describe_variants
from tests.unit.plans import matrix_with
from tests.unit.user_errors import mistake


def test_the_shipped_variants_are_described_with_all_that_they_remove_and_waive() -> None:
    matrix = default_matrix()
    text = describe_variants(matrix.variants, matrix.rules, matrix.verify.checks)
    for name, variant in matrix.variants.items():
        assert f"{name}: {variant.note}" in text
        for rule in variant.rules:
            assert matrix.rules[rule].takes in text
        for check, reason in variant.waives.items():
            assert f"  waives {check}: {reason}\n" in text


def test_each_variant_names_the_checks_that_it_keeps() -> None:
    variants = {"one": Variant(), "two": Variant(waives={"imports": "nothing to import"})}
    lines = describe_variants(variants, {}, ["versions", "imports"]).splitlines()
    start = "  checks, where they apply to its target: "
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


def test_every_rule_is_noticed_by_a_check_that_its_variants_keep() -> None:
    matrix = default_matrix()
    for name, variant in matrix.variants.items():
        for rule in variant.rules:
            kept = set(matrix.rules[rule].noticed_by) - set(variant.waives)
            assert kept, f"no check of {name} would notice that {rule} removes too much"


@pytest.mark.parametrize(
    ("changes", "expected"),
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
def test_a_mistake_in_a_variant_is_named_in_one_line(changes: str, expected: str) -> None:
    assert expected in mistake(lambda: matrix_with(changes))


@pytest.mark.parametrize(
    ("new", "old", "message"),
    [
        ("[variants.", "[profiles.", "key 'profiles' is called 'variants' now"),
        ("[variants.minimal.waives]", "[variants.minimal.gives_up]",
         "key 'variants.minimal.gives_up' is called 'waives' now"),
        ('[limits]', '[verify]\npromises = ["imports"]\n[limits]', "key 'verify.promises' is called 'checks' now"),
    ],
    ids=["variants", "waives", "checks"],
)  # fmt: skip
def test_a_key_of_an_earlier_version_is_answered_with_its_new_name(new: str, old: str, message: str) -> None:
    text = default_text()
    assert new in text
    assert mistake(lambda: read_matrix(text.replace(new, old))) == f"matrix.toml: {message}"
