"""What the module is made of for the engine, and what Dagger's own files at the repository's root say."""

import json
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = json.loads((ROOT / "dagger.json").read_text("utf-8"))


def test_what_dagger_writes_down_is_neither_committed_nor_a_part_of_the_module() -> None:
    # From 1.0 on the CLI writes dagger.lock; as a part of the module it would make each call another one.
    ignored = ["git", "check-ignore", "--no-index", "dagger.lock"]
    assert subprocess.run(ignored, cwd=ROOT, check=False, capture_output=True, text=True).stdout
    assert {"!dagger.lock", "!dagger.toml"} <= set(MODULE["include"])


def test_from_dagger_1_0_on_the_checkout_names_its_module() -> None:
    workspace = tomllib.loads((ROOT / "dagger.toml").read_text("utf-8"))
    assert workspace == {"modules": {MODULE["name"]: {"source": ".", "entrypoint": True}}}
