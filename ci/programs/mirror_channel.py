"""Download the conda packages of an environment again, as a channel of their own: mirror_channel.py PREFIX OUT

conda-meta has each package's address, its hash, and the fields that a solver needs; nothing else is read.
"""

from __future__ import annotations

import json
import shutil
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from common.downloads import retry
from common.errors import UserError, run_main
from common.files import sha256_of
from common.repodata import SUBDIRS, write_repodata

if TYPE_CHECKING:
    from collections.abc import Sequence

# The fields of repodata.json; the rest of a record in conda-meta is about how the package was linked here.
FIELDS = (
    "build", "build_number", "constrains", "depends", "license", "license_family", "md5", "name", "noarch",
    "sha256", "size", "subdir", "timestamp", "track_features", "version",
)  # fmt: skip


def download(address: str, sha256: str, target: Path) -> None:
    """Download one package and check its hash; try again when the network fails."""
    context = ssl.create_default_context() if address.startswith("https:") else None

    def fetch() -> None:
        with urlopen(address, timeout=60, context=context) as answer, target.open("wb") as out:  # noqa: S310
            shutil.copyfileobj(answer, out)

    passing = (URLError, TimeoutError, ConnectionError)
    try:
        retry(address, fetch, lambda error: isinstance(error, passing))
    except passing as error:
        raise UserError(f"{address}: {error}") from error
    found = sha256_of(target)
    if found != sha256:
        raise UserError(f"{address}: sha256 is {found}, expected {sha256}")


def mirror(prefix: Path, out: Path) -> int:
    """Write the channel; return how many packages it has."""
    packages: dict[str, dict[str, dict[str, Any]]] = {subdir: {} for subdir in SUBDIRS}
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        name, subdir = record["url"].rsplit("/", 1)[-1], record["subdir"]
        if urlsplit(record["url"]).scheme not in ("http", "https") or not record.get("sha256"):
            raise UserError(f"{path.name}: no address and hash by which it can be downloaded")
        folder = out / subdir
        folder.mkdir(parents=True, exist_ok=True)
        download(record["url"], record["sha256"], folder / name)
        fields = {key: record[key] for key in FIELDS if record.get(key) is not None}
        packages.setdefault(subdir, {})[name] = fields
    for subdir, records in packages.items():
        write_repodata(out / subdir, records)
    return sum(map(len, packages.values()))


def main(argv: Sequence[str] | None = None) -> int:
    """Mirror an environment's packages; return the exit status."""
    prefix, out = map(Path, sys.argv[1:] if argv is None else argv)
    return run_main(
        "mirror_channel.py", lambda: print(f"{out}: {mirror(prefix, out)} packages"), ValueError, KeyError
    )


if __name__ == "__main__":
    sys.exit(main())
