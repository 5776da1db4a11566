"""Let stages write their texts into a folder of the test's own, as the module does in its container."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def module_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)
