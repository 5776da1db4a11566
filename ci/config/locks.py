"""Exact versions and hashes of what an environment installs: requirement files with hashes, and no addresses."""

import json
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable


class Locks:
    """The lock files of the module: `locks/tools.txt`, `locks/<sources>/<pair>/<stage>.txt` and others."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)

    def tools(self) -> str:
        """Return the requirements of the tools that build an environment (py-rattler, conda-pack, uv)."""
        return self._files["tools.txt"]

    def sdists(self) -> str:
        """Return the requirements of the PyG extensions' sources, for where no wheel exists."""
        return self._files["sdists.txt"]

    def channel(self) -> str:
        """Return the recipe (JSON) of the conda channel that the `registries` sources make."""
        return self._files["channel.json"]

    def interpreter(self, python: str) -> tuple[str, str] | None:
        """Return of that recipe what makes one CPython (a recipe too), and pip as a requirement with its hash.

        None where the recipe has no such CPython.
        """
        whole = json.loads(self.channel())
        mine = [one for one in whole["python"] if one["version"].startswith(f"{python}.")]
        if not mine:
            return None
        libraries = {one["name"]: one for one in whole["debs"]}
        wanted, asked = dict[str, None](), list(mine[0]["depends"])
        while asked:
            name = asked.pop()
            if name in libraries and name not in wanted:
                wanted[name] = None
                asked += libraries[name].get("depends", [])
        recipe = {"python": mine[:1], "debs": [libraries[name] for name in libraries if name in wanted]}
        pip = next(one for one in whole["wheels"] if one["name"] == "pip")
        line = f"pip=={pip['version']} --hash=sha256:{pip['sha256']}\n"
        return json.dumps({**recipe, "wheels": []}, indent=1) + "\n", line

    def pages(self) -> str:
        """Return what index pages had (JSON) when the generated files were made: `indexes.recorded` reads it."""
        return self._files["pages.json"]

    def toolkit(self, sources_name: str, cuda: str) -> str | None:
        """Return the locked requirements of a CUDA toolkit's wheels, None where there is no lock."""
        return self._files.get(f"{sources_name}/toolkit-{cuda}.txt")

    def requirements(self, sources_name: str, pair_id: str, stage: str) -> str | None:
        """Return the locked requirements of a stage, None where the pair has no lock (only pins)."""
        return self._files.get(f"{sources_name}/{pair_id}/{stage}.txt")

    def places(self) -> dict[str, str]:
        """Return the path in the repository of each lock file, by its text."""
        return {text: f"ci/locks/{name}" for name, text in self._files.items()}


def read_lock() -> Locks:
    """Read the lock files that come with the module."""
    root = resources.files("ci").joinpath("locks")
    return Locks(dict(_walk(root, "")))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry.read_text("utf-8")))
    return found
