"""The module under the newest client of Dagger: nothing is missing there, and it describes itself in the same way."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.engine.conftest import ROOT
from tests.world import dialect


def test_the_module_is_the_same_under_the_newest_client(tmp_path: Path) -> None:
    install = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
        "--require-hashes",
    ]
    listed = ["--target", str(tmp_path), "--requirement", str(ROOT / "requirements/newest.txt")]
    subprocess.run([sys.executable, "-m", "pip", *install, *listed], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.world.dialect"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    assert f"dagger-io=={found['version']} " in (ROOT / "requirements/newest.txt").read_text("utf-8")
    assert sorted(dialect.used() - set(found["used"])) == []
    assert found["described"] == json.loads(json.dumps(dialect.described()))
