"""Read the lock files: exact versions and hashes of packages, without addresses."""

import json
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from ci.util.errors import UserError
from ci.util.json_text import parse_json


class Locks:
    """Texts of lock files by path below `locks`: `<sources>/<pair>/<stage>.txt` and others."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)

    def tools(self) -> str:
        """Return the requirements of the tools that make environments (py-rattler, conda-pack, uv)."""
        return self._files["tools.txt"]

    def sdists(self) -> str:
        """Return the requirements of the PyG extensions that are compiled where no wheel exists."""
        return self._files["sdists.txt"]

    def channel(self) -> str:
        """Return the recipe (JSON) of the conda channel that is made with the `registries` sources."""
        return self._files["channel.json"]

    def interpreter(self, python: str) -> tuple[str, str] | None:
        """Return the recipe (JSON) of one CPython and its libraries, and a requirement line for pip.

        Both come from the channel's recipe; None if that has no such CPython. The line has a hash.
        """
        channel = self._read_channel()
        pythons = [package for package in channel["python"] if package["version"].startswith(f"{python}.")]
        if not pythons:
            return None
        libraries = {package["name"]: package for package in channel["debs"]}
        needed, pending = set[str](), list(pythons[0]["depends"])
        while pending:
            name = pending.pop()
            if name in libraries and name not in needed:
                needed.add(name)
                pending += libraries[name].get("depends", [])
        debs = [package for name, package in libraries.items() if name in needed]
        recipe = {"python": pythons[:1], "debs": debs, "wheels": []}
        pip = next(package for package in channel["wheels"] if package["name"] == "pip")
        line = f"pip=={pip['version']} --hash=sha256:{pip['sha256']}\n"
        return json.dumps(recipe, indent=1) + "\n", line

    def pythons(self) -> tuple[str, ...]:
        """Return the versions of CPython in the channel's recipe."""
        return tuple(str(package["version"]) for package in self._read_channel()["python"])

    def _read_channel(self) -> dict[str, Any]:
        name = "ci/locks/channel.json"
        found = parse_json(self.channel(), name)
        for key, needed in (("python", "version"), ("debs", "name"), ("wheels", "name")):
            rows = found.get(key)
            if not isinstance(rows, list) or not all(isinstance(row, dict) and needed in row for row in rows):
                raise UserError(f"{name}: key {key!r}: not a list of packages")
        return found

    def pages(self) -> str:
        """Return the index pages (JSON) that the generated files were made with, for `load_pages`."""
        return self._files["pages.json"]

    def toolkit(self, sources_name: str, cuda: str) -> str | None:
        """Return the locked requirements of a CUDA toolkit's wheels, None without a lock."""
        return self._files.get(f"{sources_name}/toolkit-{cuda}.txt")

    def requirements(self, sources_name: str, pair_id: str, stage: str) -> str | None:
        """Return the locked requirements of a stage, None if the pair has pins but no lock."""
        return self._files.get(f"{sources_name}/{pair_id}/{stage}.txt")

    def paths_by_text(self) -> dict[str, str]:
        """Map the text of each lock file to its path in the repository."""
        return {text: f"ci/locks/{name}" for name, text in self._files.items()}


def read_locks() -> Locks:
    """Read the lock files that come with the module."""
    root = resources.files("ci").joinpath("locks")
    return Locks(dict(_walk(root, "")))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    files: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir():
            files += _walk(entry, f"{prefix}{entry.name}/")
        else:
            files.append((prefix + entry.name, entry.read_text("utf-8")))
    return files
