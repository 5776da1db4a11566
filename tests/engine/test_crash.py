"""A client that is killed or interrupted in mid sweep: the next sweep goes on, and the records tell the truth.

test_bundle.py kills an engine: it has one that no other test uses.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.engine.conftest import ROOT, SmallStack
from tests.engine.test_matrix import PROMISES
from tests.stand_ins import small_stack

CELLS = ("--cuda=cpu", "--target=runtime", "--disk-floor=1")


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
    with (
        log.open("wb") as out,
        subprocess.Popen(
            sweep,
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # Tests may run where Ctrl-C is ignored, as what a shell starts in the background does.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as first,
    ):
        try:
            wait_for(log, ": base: begins", first)
        except BaseException:  # of the tests' own Ctrl-C it would not hear
            os.killpg(first.pid, signal.SIGKILL)
            raise
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
