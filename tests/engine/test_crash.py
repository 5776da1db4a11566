"""An engine that is killed in mid sweep, and its client: the next sweep goes on, and the records tell the truth.

It has a cache folder of its own, so that no other test's engine is touched; the engine's parts are shared by links.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import CACHE, ROOT, World
from tests.engine.test_matrix import PROMISES
from tests.world import world

# dagger's client hung when its engine was killed; with the client killed too, this was not seen to its end yet.
pytestmark = pytest.mark.skip(reason="not seen to pass yet: run it by hand")
CELLS = ("--cuda=cpu", "--target=runtime", "--disk-floor=1")


@pytest.fixture
def own_cache() -> Iterator[Path]:
    """Make a cache folder whose engine nobody else uses."""
    folder = Path(f"{CACHE}-crash-{os.getpid()}")
    folder.mkdir()
    subprocess.run(["cp", "-al", CACHE / "parts", folder / "parts"], check=True)
    try:
        yield folder
    finally:
        subprocess.run(
            [ROOT / "daggerw", "clean", "--all"],
            env={**os.environ, "CSLR_IMAGES_CACHE": str(folder)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        shutil.rmtree(folder, ignore_errors=True)


def test_a_killed_engine_loses_nothing(small: World, own_cache: Path, tmp_path: Path) -> None:
    matrix = world.matrix_with(tmp_path / "matrix.toml", more=PROMISES)
    environment = {**os.environ, "CSLR_IMAGES_CACHE": str(own_cache)}
    words = [str(ROOT / "daggerw"), "--progress=plain", *small.words(matrix=matrix)]
    log = tmp_path / "first.log"
    with log.open("wb") as out, subprocess.Popen(
        [*words, "matrix", *CELLS], cwd=ROOT, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
    ) as first:  # fmt: skip
        wait_for(log, "uv pip install", first)
        kill_engine(own_cache)
        # dagger's client waits for an engine that is gone, and for a second Ctrl-C: it is killed too.
        first.kill()
        first.wait()
    second = subprocess.run(
        [*words, "matrix", *CELLS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 0, second.stderr[-4000:]
    assert "1 ok, 0 failed, 0 not run" in second.stdout
    # What was finished is not run again: the channel takes the longest of it.
    again = [line for line in second.stderr.splitlines() if "make_channel.py build" in line]
    assert again == [] or "CACHED" in second.stderr
    printed = subprocess.run(
        [*words, "history", "contents"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    assert [record["status"] for record in records] == ["building", "building", "ok"]
    stages = {stage["name"]: stage["seconds"] for stage in records[-1]["stages"]}
    assert stages["channel"] < 5, "finished before the engine was killed"


def wait_for(log: Path, words: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a program has printed something."""
    for _ in range(1800):
        if words.encode() in log.read_bytes():
            return
        assert process.poll() is None, log.read_text("utf-8", "replace")[-4000:]
        time.sleep(0.5)
    raise TimeoutError(f"{words!r} did not appear")


def kill_engine(cache: Path) -> None:
    """End the engine as a crash would; by the id that daggerw wrote down."""
    known = json.loads((cache / "run/engine.record.json").read_text("utf-8"))
    os.kill(known["init"]["pid"], signal.SIGKILL)
