"""Profiles: what a matrix may say about them, and what is told."""

import pytest

from ci.matrix import default_matrix
from ci.profiles import Profile, told
from tests.unit.mistakes import mistake
from tests.unit.planning import matrix_with


def test_the_shipped_profiles_are_told_with_all_that_they_take_and_give_up() -> None:
    matrix = default_matrix()
    said = told(matrix.profiles, matrix.rules, matrix.verify.promises)
    for name, profile in matrix.profiles.items():
        assert f"{name}: {profile.note}" in said
        for rule in profile.rules:
            assert matrix.rules[rule].takes in said
        for promise, reason in profile.gives_up.items():
            assert f"{promise}: {reason}" in said


def test_each_profile_names_the_promises_that_it_keeps() -> None:
    profiles = {"one": Profile(), "two": Profile(gives_up={"imports": "nothing to import"})}
    lines = told(profiles, {}, ["versions", "imports"]).splitlines()
    start = "  promises, where they are for its target, "
    assert [line.removeprefix(start) for line in lines if line.startswith(start)] == [
        "versions, imports",
        "versions",
    ]


def test_the_default_profile_gives_up_nothing_and_full_takes_nothing() -> None:
    profiles = default_matrix().profiles
    assert (profiles["default"].gives_up, profiles["default"].strip, profiles["default"].toolkit) == (
        {},
        "debug",
        True,
    )
    full = profiles["full"]
    assert (full.rules, full.strip, full.toolkit, full.gives_up) == ((), "no", True, {})


def test_every_rule_is_noticed_by_a_promise_that_its_profiles_keep() -> None:
    matrix = default_matrix()
    for name, profile in matrix.profiles.items():
        for rule in profile.rules:
            kept = set(matrix.rules[rule].noticed_by) - set(profile.gives_up)
            assert kept, f"no promise of {name} would notice that {rule} takes too much"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ('[profiles.slim]\nrules = ["archive"]', "archive"),
        ('[profiles.slim]\nstrip = "all"', "unneeded"),
        ("[rules.empty]\ntakes = 'x'\nremove = []\nnoticed_by = ['imports']", "remove"),
        ("[rules.free]\ntakes = 'x'\nremove = ['a']\nnoticed_by = []", "noticed_by"),
        ("[rules.odd]\ntakes = 'x'\nremove = ['../a']\nnoticed_by = ['imports']", "remove"),
        ("[rules.odd]\ntakes = 'x'\nremove = ['/a']\nnoticed_by = ['imports']", "remove"),
        ("[profiles.slim.gives_up]\nspeed = 'none'", "speed"),
    ],
)
def test_a_mistake_in_a_profile_is_told_in_one_line(changes: str, said: str) -> None:
    assert said in mistake(lambda: matrix_with(changes))
