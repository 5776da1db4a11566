"""common/patterns.py: patterns of paths."""

import re

import pytest

from common.patterns import either, expression


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        ("*.a", ["x.a", ".a"], ["lib/x.a", "x.ab", "x"]),
        ("lib/?.so", ["lib/x.so"], ["lib/.so", "lib/xy.so", "lib//.so"]),
        ("**/tests/**", ["tests/a", "p/q/tests/a/b"], ["tests", "p/testsx/a"]),
        ("lib/**/*.a", ["lib/x.a", "lib/a/b/x.a"], ["lib/a/b", "x.a", "libx.a"]),
        ("a+b[c]", ["a+b[c]"], ["aab[c]", "a+bc"]),
        ("**/a\nb", ["a\nb", "x\ny/a\nb"], ["a"]),
    ],
)
def test_patterns_match_whole_paths(pattern: str, matched: list[str], others: list[str]) -> None:
    found = re.compile(expression(pattern), re.DOTALL)
    assert [path for path in [*matched, *others] if found.fullmatch(path)] == matched


def test_folders_that_are_named_twice_are_looked_for_once() -> None:
    """Each group that may match the same folders multiplies the time of a path that does not match."""
    assert expression("**/" * 30 + "x") == expression("***/**/x") == expression("**/x")


def test_no_pattern_matches_nothing() -> None:
    assert either([]).fullmatch("") is None
