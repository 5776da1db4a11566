"""Write the list of packages of a conda channel, repodata.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUBDIRS = ("linux-64", "noarch")
FORMATS = {"packages": ".tar.bz2", "packages.conda": ".conda"}


def write_repodata(folder: Path, packages: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Write `repodata.json` into a channel's subdirectory, such as noarch, and return its bytes.

    `packages` are the records of the packages by file name. The same packages give the same bytes.
    """
    repodata: dict[str, Any] = {
        key: {name: dict(record) for name, record in packages.items() if name.endswith(ending)}
        for key, ending in FORMATS.items()
    }
    repodata |= {"info": {"subdir": folder.name}, "repodata_version": 1}
    data = json.dumps(repodata, indent=1, sort_keys=True).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "repodata.json").write_bytes(data)
    return data
