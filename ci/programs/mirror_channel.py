"""Download the conda packages of an environment once more, as a channel of their own: mirror_channel.py PREFIX OUT

conda-meta tells of each package where it came from, its hash, and what a solver must know; that is all that is read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIES = 4
# What repodata says of a package; the rest of its record is about how it was linked here.
TOLD = (
    "build", "build_number", "constrains", "depends", "license", "license_family", "md5", "name", "noarch",
    "sha256", "size", "subdir", "timestamp", "track_features", "version",
)  # fmt: skip


class MirrorError(Exception):
    """What the user is told, in one line."""


def download(address: str, sha256: str, target: Path) -> None:
    """One package, as its hash says; tried again when the network fails."""
    for left in reversed(range(TRIES)):
        try:
            with urlopen(address, timeout=60, context=_context(address)) as answer, target.open("wb") as out:  # noqa: S310
                shutil.copyfileobj(answer, out)
            break
        except (URLError, TimeoutError, ConnectionError) as error:
            if not left:
                raise MirrorError(f"{address}: {error}") from error
            time.sleep(2)
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != sha256:
        raise MirrorError(f"{address}: sha256 is {found}, expected {sha256}")


def _context(address: str) -> ssl.SSLContext | None:
    return ssl.create_default_context() if address.startswith("https:") else None


def mirror(prefix: Path, out: Path) -> int:
    """Write the channel; return how many packages it has."""
    found: dict[str, dict[str, dict[str, Any]]] = {"linux-64": {}, "noarch": {}}
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        name, subdir = record["url"].rsplit("/", 1)[-1], record["subdir"]
        if urlsplit(record["url"]).scheme not in ("http", "https") or not record.get("sha256"):
            raise MirrorError(f"{path.name}: no address and hash by which it can be downloaded")
        folder = out / subdir
        folder.mkdir(parents=True, exist_ok=True)
        download(record["url"], record["sha256"], folder / name)
        found.setdefault(subdir, {})[name] = {key: record[key] for key in TOLD if record.get(key) is not None}
    for subdir, packages in found.items():
        kinds = {
            kind: {name: one for name, one in packages.items() if name.endswith(end)}
            for kind, end in (("packages", ".tar.bz2"), ("packages.conda", ".conda"))
        }
        (out / subdir).mkdir(parents=True, exist_ok=True)
        text = json.dumps({"info": {"subdir": subdir}, **kinds}, indent=1, sort_keys=True)
        (out / subdir / "repodata.json").write_text(text + "\n", "utf-8")
    return sum(map(len, found.values()))


def main(words: Sequence[str] | None = None) -> int:
    prefix, out = map(Path, sys.argv[1:] if words is None else words)
    try:
        print(f"{out}: {mirror(prefix, out)} packages")
    except (MirrorError, OSError, ValueError, KeyError) as error:
        print(f"mirror_channel: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
