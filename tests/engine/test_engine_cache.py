"""The embedded engine keeps what it has cached as long as the disk has room."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine import server
from tests.engine.conftest import succeed
from tests.stand_ins.cache import CACHE

ENTRIES = "entrySet { entries { description createdTimeUnixNano mostRecentUseTimeUnixNano activelyUsed } }"
# What the engine would drop first. Other tests may use it at the same time: its newest entries come and go.
OLDEST = 100
# What the engine does by itself after calls, at most once a minute.
LOOK = "prune(useDefaultPolicy: true)"


def test_nothing_is_dropped_while_the_disk_has_room(tmp_path: Path) -> None:
    if shutil.disk_usage(CACHE).free < 1.2 * server.KEPT_FREE:
        pytest.skip("the disk is short")

    def asked(field: str) -> Any:
        document = tmp_path / "query.graphql"
        document.write_text(f"{{ engine {{ localCache {{ {field} }} }} }}", "utf-8")
        return json.loads(succeed("query", "--doc", str(document)))["engine"]["localCache"]

    def entries() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = asked(ENTRIES)["entrySet"]["entries"]
        return sorted(found, key=lambda entry: entry["mostRecentUseTimeUnixNano"])

    def identify(entry: dict[str, Any]) -> tuple[int, str]:
        return entry["createdTimeUnixNano"], entry["description"]

    before = [identify(entry) for entry in entries() if not entry["activelyUsed"]][:OLDEST]
    asked(LOOK)
    assert before
    assert set(before) <= {identify(entry) for entry in entries()}
