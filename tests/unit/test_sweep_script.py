"""`daggerw sweep` around its calls: what it warns of beforehand, and what it writes however the sweep ends.

A stand-in answers for daggerw: caches that are nearly full, or an engine that forgets its records, cannot be had here.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "engine/sweep"
GB = 1_000_000_000
STAND_IN = """#!/usr/bin/env bash
case $* in
  *max-used-space) echo "$MOST" ;;
  *disk-space-bytes) echo "$USED" ;;
  status) printf 'engine        %s, v0\\nfree disk     %s GB\\nkept free     15 GB: with less\\n' "$ENGINE" "$FREE" ;;
  *" history "*) [[ $RECORDS == yes ]] || exit 1; last=${!#}; echo '{"status": "ok"}' >"${last#--path=}" ;;
  *" report "*) for ((i = 1; i <= $#; i++)); do [[ ${!i} != -o ]] || { i=$((i + 1)); echo page >"${!i}"; }; done ;;
  *" matrix "*)
    echo "swept: $*"
    # Like a cell that has ended, and a sweep that goes on until its report is there.
    if [[ -n $CELL ]]; then
      for ((i = 0; i < 300; i++)); do [[ ! -s $CELL/report.html || ! -s $CELL/report.json ]] || break; sleep 0.1; done
      cp -r "$CELL" "$CELL.seen"
    fi
    exit "$STATUS"
    ;;
esac
"""


def sweep(
    folder: Path,
    *words: str,
    most: int = 0,
    used: int = 0,
    free: int = 500,
    status: int = 0,
    records: str = "yes",
    engine: str = "running",
    cell: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run the script, whose engine keeps at most so many GB of cache, has some, and drops some below 15 free."""
    daggerw = folder / "daggerw"
    daggerw.write_text(STAND_IN, "utf-8")
    daggerw.chmod(0o755)
    told = {"MOST": most * GB, "USED": used * GB, "FREE": free, "STATUS": status}
    environment = {
        "PATH": os.environ["PATH"],
        "CSLR_IMAGES_RECORDS": str(folder / "records"),
        "RECORDS": records,
        "ENGINE": engine,
        "CELL": cell,
        "CSLR_IMAGES_RECORDS_SECONDS": "1",
    }
    return subprocess.run(
        [str(SCRIPT), str(daggerw), *words],
        env=environment | {name: str(value) for name, value in told.items()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("most", "used", "free", "warning"),
    [
        (100, 80, 500, "collects garbage above 100 GB of cache and has 80 GB"),
        (0, 80, 40, "40 GB of disk are free, and with less than 15 GB the engine drops what it has cached"),
        (100, 60, 500, ""),
        (0, 500, 50, ""),
    ],
)
def test_caches_that_the_engine_would_drop_are_told_before_a_sweep(
    tmp_path: Path, most: int, used: int, free: int, warning: str
) -> None:
    ran = sweep(tmp_path, most=most, used=used, free=free)
    assert ran.returncode == 0, ran.stderr
    told = [line for line in ran.stderr.splitlines() if "records and reports" not in line]
    assert len(told) == bool(warning)
    assert warning in "".join(told)


def test_nothing_is_told_of_the_disk_where_the_users_own_dagger_builds(tmp_path: Path) -> None:
    ran = sweep(tmp_path, free=40, engine="not running")
    assert ran.returncode == 0, ran.stderr
    assert "of disk are free" not in ran.stderr


@pytest.mark.parametrize("status", [0, 1, 130])
def test_records_and_reports_are_written_however_a_sweep_ends(tmp_path: Path, status: int) -> None:
    ran = sweep(tmp_path, "--jobs=2", "--", "--phase=1", status=status)
    assert ran.returncode == status
    assert f"call --jobs=2 matrix --history={tmp_path}/records/history.jsonl --phase=1" in ran.stdout
    written = {path.name for path in (tmp_path / "records").iterdir()}
    assert written == {"history.jsonl", "STATUS.md", "report.html", "report.xml", "report.json"}


def test_records_and_reports_are_written_while_the_sweep_goes_on(tmp_path: Path) -> None:
    ran = sweep(tmp_path, cell=str(tmp_path / "records"))
    assert ran.returncode == 0, ran.stderr
    seen = tmp_path / "records.seen"
    assert (seen / "report.html").read_text("utf-8") == "page\n"
    assert (seen / "STATUS.md").read_text("utf-8") == "page\n"
    assert (seen / "history.jsonl").read_text("utf-8") == '{"status": "ok"}\n'


def test_a_sweep_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    daggerw = tmp_path / "daggerw"
    daggerw.write_text('#!/bin/sh\ncase $* in *" matrix "*) kill -KILL $PPID ;; esac\n', "utf-8")
    daggerw.chmod(0o755)
    words = [str(SCRIPT), str(daggerw)]
    environment = {"PATH": os.environ["PATH"], "CSLR_IMAGES_RECORDS": str(tmp_path / "records")}
    with subprocess.Popen(
        words, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as killed:
        assert killed.wait() == -signal.SIGKILL
    try:
        for _ in range(100):
            os.killpg(killed.pid, 0)
            time.sleep(0.1)
        os.killpg(killed.pid, signal.SIGKILL)
        pytest.fail("it left a process")
    except ProcessLookupError:
        pass


def test_records_that_cannot_be_had_are_told_and_those_of_before_stay(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records/history.jsonl").write_text("before\n", "utf-8")
    ran = sweep(tmp_path, records="no")
    assert ran.returncode == 1
    assert "its records could not all be written" in ran.stderr
    assert (tmp_path / "records/history.jsonl").read_text("utf-8") == "before\n"
