"""Keep the lists of files of conda's packages (`conda-meta/*.json`) true when files go."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from common.records import replace_text

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path


def update_conda_records(prefix: Path, removed: Set[Path]) -> int:
    """Leave removed files out of the lists of all packages; return how many packages that were.

    Paths are absolute, in folders without symbolic links. conda-pack refuses to export an environment in which files
    that are listed are missing. A list keeps its mode, owner and times, and becomes a file of its own.
    """
    gone = {os.path.relpath(path, prefix) for path in removed}
    return sum(_update(record, gone) for record in sorted((prefix / "conda-meta").glob("*.json")))


def _update(record: Path, gone: Set[str]) -> bool:
    data = json.loads(record.read_text("utf-8"))
    files, rows = data.get("files", []), data.get("paths_data", {}).get("paths", [])
    left = [name for name in files if name not in gone]
    left_rows = [row for row in rows if row["_path"] not in gone]
    if len(left) == len(files) and len(left_rows) == len(rows):
        return False
    data["files"] = left
    if rows:
        data["paths_data"]["paths"] = left_rows
    replace_text(record, json.dumps(data, indent=2) + "\n")
    return True
