"""An engine or a client that is killed in mid sweep: the next sweep goes on, and the records tell the truth.

The engine that is killed has a cache folder of its own, so that no other test's engine is touched; its parts are shared
by links.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import ROOT, SmallStack
from tests.engine.test_matrix import PROMISES
from tests.stand_ins import small_stack
from tests.stand_ins.cache import CACHE

CELLS = ("--cuda=cpu", "--target=runtime", "--disk-floor=1")
CHANNEL_MADE = "linux-64/readline-"  # what make_channel.py prints of a channel that is made


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


def test_a_killed_engine_loses_nothing(small: SmallStack, own_cache: Path, tmp_path: Path) -> None:
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES)
    environment = {**os.environ, "CSLR_IMAGES_CACHE": str(own_cache)}
    words = [str(ROOT / "daggerw"), "--progress=plain", *small.words(matrix=matrix)]
    log = tmp_path / "first.log"
    with log.open("wb") as out, subprocess.Popen(
        [*words, "matrix", *CELLS], cwd=ROOT, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
    ) as first:  # fmt: skip
        wait_for(log, "install_packages.sh", first)
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
    assert CHANNEL_MADE in log.read_text("utf-8", "replace")
    assert CHANNEL_MADE not in second.stderr
    printed = subprocess.run(
        [*words, "history", "contents"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    assert [record["status"] for record in records] == ["building", "building", "ok"]


def test_a_killed_client_loses_nothing(small: SmallStack, tmp_path: Path) -> None:
    # A user that no run had before: the stages from the base upwards are really built.
    uid = 2_000 + secrets.randbelow(50_000)
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, uid=uid)
    words = [str(ROOT / "daggerw"), "--progress=plain", *small.words(matrix=matrix)]
    sweep = ["matrix", *CELLS]
    log = tmp_path / "first.log"
    with log.open("wb") as out, subprocess.Popen(
        [*words, *sweep], cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL
    ) as first:  # fmt: skip
        wait_for(log, "make_env.py create", first)
        first.kill()
        first.wait()
    run = re.findall(rb"20[0-9-]+T[0-9:]+Z-[0-9a-f]{6}", log.read_bytes())[0].decode()
    last = settled(words, run)
    assert last["status"] == "failed"
    assert last["failure"]["kind"] == "interrupted"
    second = subprocess.run([*words, *sweep], cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr[-4000:]
    assert "1 ok, 0 failed, 0 not run" in second.stdout


def test_ctrl_c_leaves_records_that_tell_the_truth(small: SmallStack, tmp_path: Path) -> None:
    uid = 2_000 + secrets.randbelow(50_000)
    options = small.words(matrix=small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, uid=uid))
    sweep = [str(ROOT / "daggerw"), "sweep", *options[1:], "--", *CELLS]
    environment = {**os.environ, "CSLR_IMAGES_RECORDS": str(tmp_path / "records")}
    log = tmp_path / "first.log"
    with log.open("wb") as out, subprocess.Popen(
        sweep, cwd=ROOT, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
    ) as first:  # fmt: skip
        wait_for(log, ": conda: begins", first)
        os.killpg(first.pid, signal.SIGINT)  # to all that a terminal would send it to
        assert first.wait() != 0
    written = [
        json.loads(line) for line in (tmp_path / "records/history.jsonl").read_text("utf-8").splitlines()
    ]
    mine = written[-1]["run"]
    assert [one["status"] for one in written if one["run"] == mine] == ["building"]
    last = settled([str(ROOT / "daggerw"), *options], mine)
    assert (last["status"], last["failure"]["kind"]) == ("failed", "interrupted")
    second = subprocess.run(sweep, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr[-4000:]
    assert "1 ok, 0 failed, 0 not run" in second.stdout
    assert "| ✓ ok |" in (tmp_path / "records/STATUS.md").read_text("utf-8")


def settled(words: list[str], run: str) -> dict[str, Any]:
    """Return what is told of a run's try when the engine has noticed that its client is gone."""
    for _ in range(300):
        last = newest(words, run)
        if last["status"] != "building":
            break
        time.sleep(2)
    return last


def newest(words: list[str], run: str) -> dict[str, Any]:
    """Return what the report says of the cell that a run tried."""
    words = [*words, "report", "--format=json", *CELLS[:2]]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    record: dict[str, Any] = json.loads(printed)["records"]["cpu-py3.13-runtime"]
    assert record["run"] == run
    return record


def wait_for(log: Path, words: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a program has printed something."""
    for _ in range(3600):  # half an hour: on a busy machine, with an empty cache
        if words.encode() in log.read_bytes():
            return
        assert process.poll() is None, log.read_text("utf-8", "replace")[-4000:]
        time.sleep(0.5)
    raise TimeoutError(f"{words!r} did not appear")


def kill_engine(cache: Path) -> None:
    """End the engine as a crash would; by the id that daggerw wrote down."""
    known = json.loads((cache / "run/engine.record.json").read_text("utf-8"))
    os.kill(known["init"]["pid"], signal.SIGKILL)
