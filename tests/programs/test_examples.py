"""The examples in the programs' docstrings give what they say."""

import doctest
import importlib

import pytest

from tests.programs.conftest import PROGRAMS

MODULES = sorted(
    ".".join(path.relative_to(PROGRAMS).with_suffix("").parts)
    for path in PROGRAMS.rglob("*.py")
    if "    >>> " in path.read_text("utf-8") and path.parent.name != "checks"  # which import torch
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_program_are_right(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert result.failed == 0, f"{result.failed} examples of {name} fail: python -m doctest -v"
