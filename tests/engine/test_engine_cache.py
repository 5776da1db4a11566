"""The embedded engine keeps what it has cached as long as the disk has room."""

import json
import shutil
from pathlib import Path

import pytest

from engine import server
from tests.engine.conftest import succeed
from tests.world.cache import CACHE

COUNT = "{ engine { localCache { entrySet { entryCount } } } }"
# What the engine does by itself after a call, at most once a minute.
LOOK = "{ engine { localCache { prune(useDefaultPolicy: true) } } }"


def asked(folder: Path, query: str) -> int:
    """Ask the engine and return the number of its entries, if it is told."""
    document = folder / "query.graphql"
    document.write_text(query, "utf-8")
    told = json.loads(succeed("query", "--doc", str(document)))["engine"]["localCache"]
    return int((told.get("entrySet") or {}).get("entryCount", 0))


def test_nothing_is_dropped_while_the_disk_has_room(tmp_path: Path) -> None:
    if shutil.disk_usage(CACHE).free < 1.2 * server.KEPT_FREE:
        pytest.skip("the disk is short")
    before = asked(tmp_path, COUNT)
    asked(tmp_path, LOOK)
    assert asked(tmp_path, COUNT) >= before > 0
