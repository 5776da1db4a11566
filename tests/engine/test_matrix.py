"""A sweep over all 18 cells of the small stack on the real engine: with one bad cell, then with none."""

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.engine.conftest import ROOT, Answer, SmallStack, succeed
from tests.stand_ins import small_stack

# The stand-ins have no tensors, so their images promise only this.
PROMISES = '[verify]\nchecks = ["versions", "pip_check", "no_root_needed"]\n'
POISONED = "cu12.8.1-py3.13-marimo-runtime"
CPU = ("--cuda=cpu", "--disk-floor=1")


def sweep(small: SmallStack, records: Path, matrix: Path, *words: str) -> Answer:
    """Run `daggerw sweep` as a user would, with the records in a folder."""
    command = [str(ROOT / "daggerw"), "sweep", *small.words(matrix=matrix)[1:], "--", *words]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "CSLR_IMAGES_RECORDS": str(records)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def recorded(records: Path) -> list[dict[str, Any]]:
    """Read the records that a sweep left, those of the runs before it too."""
    return [json.loads(line) for line in (records / "history.jsonl").read_text("utf-8").splitlines()]


def newest(records: Path) -> dict[str, dict[str, Any]]:
    """Return the last record of each cell that the last sweep over all cells made; others may run beside it."""
    found = recorded(records)
    run = next(record["run"] for record in reversed(found) if record["cell"] == POISONED)
    return {record["cell"]: record for record in found if record["run"] == run}


@pytest.fixture(scope="module")
def bad(small: SmallStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Path]:
    """Sweep with a marimo that breaks for whoever is not root on Python 3.13: one cell of 18."""
    folder = tmp_path_factory.mktemp("bad")
    matrix = small_stack.matrix_with(folder / "matrix.toml", more=PROMISES, marimo=small_stack.POISONED)
    return sweep(small, folder / "records", matrix, "--disk-floor=1"), folder / "records"


@pytest.fixture(scope="module")
def good(small: SmallStack, bad: tuple[Answer, Path], tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Sweep again, over the same records, with a marimo that works."""
    matrix = small_stack.matrix_with(tmp_path_factory.mktemp("good") / "matrix.toml", more=PROMISES)
    return sweep(small, bad[1], matrix, "--disk-floor=1")


def test_one_bad_cell_fails_alone_and_the_call_with_it(bad: tuple[Answer, Path]) -> None:
    answer, records = bad
    assert answer.status != 0, answer.err[-4000:]
    found = newest(records)
    assert Counter(record["status"] for record in found.values()) == {"ok": 17, "failed": 1}
    failure = found[POISONED]["failure"]
    assert (failure["kind"], failure["stage"]) == ("verification", "verify")
    assert "versions" in failure["message"]


def test_a_check_counts_from_the_image_below_where_the_layer_only_adds(
    good: Answer, bad: tuple[Answer, Path]
) -> None:
    found = newest(bad[1])
    for name in ("ray-runtime", "marimo-runtime"):
        record = found[f"cu12.8.1-py3.13-{name}"]
        assert record["checked_in"] == {"no_root_needed": "cu12.8.1-py3.13-runtime"}, good.err[-4000:]
        assert [stage["name"] for stage in record["stages"]][-2:] == ["verify", "measure"]


def test_the_call_says_which_cell_failed_and_shows_the_table(bad: tuple[Answer, Path]) -> None:
    said = bad[0].err
    assert f"{POISONED}: verification at verify" in said
    assert "debug --cuda=12.8.1 --python=3.13 --target=marimo-runtime terminal\n" in said
    assert re.search(r"17 ok, 1 failed, 0 not run", said)
    assert "Traceback" not in said
    assert "TaskGroup" not in said


def test_every_shared_step_was_built_once(bad: tuple[Answer, Path]) -> None:
    stages = [stage for record in newest(bad[1]).values() for stage in record["stages"]]
    own = Counter(stage["name"] for stage in stages if not stage.get("shared_with"))
    compiled = [stage["objects"] for stage in stages if stage["name"] == "wheels"]
    assert all(objects["narrow"] + objects["full"] > 0 for objects in compiled)
    assert (own["toolkit"], own["conda"], own["torch"], own["wheels"], own["pyg"]) == (2, 3, 3, 3, 3)
    assert (own["ray"], own["marimo"], own["image"]) == (3, 3, 18)
    # As the engine saw it: its log names each command that it ran.
    ran = [line for line in bad[0].err.splitlines() if "compile_wheels.py" in line and "withExec" in line]
    assert len({line.split(":")[0] for line in ran}) <= 3


def test_a_record_says_what_each_stage_adds_to_the_image(bad: tuple[Answer, Path]) -> None:
    found = newest(bad[1])
    names = [layer["name"] for layer in found["cu12.8.1-py3.13-ray-runtime"]["layers"]]
    assert names == ["runtime-base", "libraries", "pack", "ray"]
    names = [layer["name"] for layer in found["cu13.1.1-py3.14-devel"]["layers"]]
    assert names == ["base", "libraries", "pack"]
    pair = [record for cell, record in found.items() if cell.startswith("cu13.1.1-py3.14")]
    environments = {layer["key"] for record in pair for layer in record["layers"] if layer["name"] == "pack"}
    assert len(environments) == 1, "devel and runtime images share it"
    for record in found.values():
        if record["status"] == "ok":
            added = sum(layer["size"] for layer in record["layers"])
            assert added == pytest.approx(record["size"], rel=0.01)


def test_a_second_sweep_goes_on_from_the_first(good: Answer, bad: tuple[Answer, Path]) -> None:
    assert good.status == 0, good.err[-4000:]
    assert {record["status"] for record in newest(bad[1]).values()} == {"ok"}
    tries = [record["status"] for record in recorded(bad[1]) if record["cell"] == POISONED]
    # The engine may know of runs before these two.
    assert tries[-4:] == ["building", "failed", "building", "ok"]


def test_the_reports_tell_the_same(good: Answer, bad: tuple[Answer, Path]) -> None:
    assert re.search(r"18 ok, 0 failed, 0 not run", good.out)
    records = bad[1]
    swept = set(newest(records))  # the reports name what tests before this one built, too
    assert len(swept) == 18
    page = (records / "STATUS.md").read_text("utf-8")
    assert page.startswith("# Images\n")
    rows = [line.split(" | ") for line in page.splitlines()]
    assert swept <= {row[0].removeprefix("| ") for row in rows if row[1:2] == ["✓ ok"]}
    suite = ET.parse(records / "report.xml").getroot()  # noqa: S314 - written by ourselves
    bad_ones = {
        case.get("name") for tag in ("failure", "skipped") for case in suite.iterfind(f".//testcase[{tag}]")
    }
    assert swept <= {case.get("name") for case in suite.iter("testcase")} - bad_ones
    told = json.loads((records / "report.json").read_text("utf-8"))
    assert swept <= {row["cell"] for row in told["cells"] if row["status"] == "ok"}
    assert POISONED in (records / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("good")
def test_the_plan_knows_the_times_from_the_records(small: SmallStack, bad: tuple[Answer, Path]) -> None:
    matrix = small_stack.matrix_with(bad[1].parent / "again.toml", more=PROMISES)
    printed = succeed(*small.words(matrix=matrix), "plan", "--cuda=12.8.1,13.1.1")
    assert "18 cells: " in printed
    assert "by the records: " in printed
    assert "stages without a record" not in printed
    assert printed.count(", as planned now") == 18
