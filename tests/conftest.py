"""Which tests go one after the other where pytest-xdist runs several at once, as `tests/run` lets it.

Those of the usual engine do: they share what it has built. Those that start engines of their own, which wait a lot, run
beside them, and so does whatever needs no engine.
"""

from pathlib import Path

import pytest

ENGINE = Path(__file__).parent / "engine"
OWN = {"test_bundle.py", "test_crash.py"}


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.is_relative_to(ENGINE):
        group = "engines of their own" if item.path.name in OWN else "engine"
        item.add_marker(pytest.mark.xdist_group(group))
