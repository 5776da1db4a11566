"""How the unit tests run: each in a folder of its own; hypothesis with the same examples each time, nothing kept.

`pytest tests/unit --hypothesis-profile explore` looks further, at random.
"""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None, database=None, derandomize=True)
settings.register_profile("explore", max_examples=2000, deadline=None, database=None, print_blob=True)
if settings.get_current_profile_name() != "explore":
    settings.load_profile("unit")


@pytest.fixture(autouse=True)
def folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder: the module writes files where it runs, as in a container of the engine."""
    monkeypatch.chdir(tmp_path)
