"""The files that Dagger loads as the module, and Dagger's own files at the root of the repository."""

import json
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = json.loads((ROOT / "dagger.json").read_text("utf-8"))


def test_the_lock_of_dagger_is_neither_committed_nor_part_of_the_module() -> None:
    # From 1.0 on the CLI writes dagger.lock; as part of the module it would change the module with each call.
    ignored = ["git", "check-ignore", "--no-index", "dagger.lock"]
    assert subprocess.run(ignored, cwd=ROOT, check=False, capture_output=True, text=True).stdout
    assert {"!dagger.lock", "!dagger.toml"} <= set(MODULE["include"])


def test_from_dagger_1_0_on_the_checkout_names_its_module() -> None:
    workspace = tomllib.loads((ROOT / "dagger.toml").read_text("utf-8"))
    assert workspace == {"modules": {MODULE["name"]: {"source": ".", "entrypoint": True}}}
