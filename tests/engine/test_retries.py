"""Single cells of the small stack on the real engine: what fails and is tried again, and what is not even begun."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.conftest import SmallStack, dagger, succeed
from tests.engine.test_matrix import PROMISES, recorded, sweep
from tests.stand_ins import packages, small_stack

CPU = ("--cuda=cpu", "--disk-floor=1")


def test_a_network_fault_is_tried_again(small: SmallStack, tmp_path: Path) -> None:
    # A Ray that no other test and no earlier run asks for is really downloaded, and no other test's download fails.
    version = f"0.1.{1_000 + secrets.randbelow(1_000_000)}"
    wheel = packages.wheel(small.folder / "simple/ray", "ray", version)
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, ray=version)
    small.fail(f"/simple/ray/{wheel.name}", 6)  # uv itself tries four times
    answer = sweep(small, tmp_path / "records", matrix, *CPU, "--target=ray-runtime")
    assert answer.status == 0, answer.err[-4000:]
    found = recorded(tmp_path / "records")
    tries = [one for one in found if one["run"] == found[-1]["run"]]
    assert [one["status"] for one in tries] == ["building", "failed", "building", "ok"]
    assert tries[1]["failure"]["kind"] == "network"
    assert tries[1]["notes"] == ["ray: network, tried again"]


def test_a_compile_that_is_killed_is_tried_with_fewer_jobs(small: SmallStack, tmp_path: Path) -> None:
    # A version that no earlier run compiled.
    version = f"0.1.{1_000 + secrets.randbelow(1_000_000)}"
    packages.extension_sdist(small.folder / "simple/torch-cluster", "torch-cluster", version, hungry=True)
    hungry = f'[pyg.extensions.torch-cluster]\nversion = "{version}"\nsdist = true\n'
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES + hungry)
    options = SmallStack(port=small.port, matrix=matrix, folder=small.folder, mirrors=small.mirrors)
    words = [*options.words(), "matrix", *CPU, "--target=runtime"]
    # Two jobs whatever the machine has: with one there is nothing to halve.
    answer = dagger(words[0], "--jobs=2", *words[1:])
    assert answer.status == 0, answer.err[-4000:]
    lines = succeed(*options.words(), "history", "contents").splitlines()
    tries = [json.loads(line) for line in lines if '"cpu-py3.13-runtime"' in line][-4:]
    assert [one["status"] for one in tries] == ["building", "failed", "building", "ok"]
    assert (tries[1]["failure"]["kind"], tries[1]["failure"]["stage"]) == ("out-of-memory", "wheels")
    assert tries[1]["notes"] == ["wheels: out-of-memory, tried again with 1 compile job"]


def test_two_sweeps_at_once_are_both_right(small: SmallStack, tmp_path: Path) -> None:
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, ray=small_stack.NEWER)
    folders = [tmp_path / "one", tmp_path / "two"]
    with ThreadPoolExecutor() as pool:
        words = (*CPU, "--only=cpu-py3.13-ray-*")
        answers = list(pool.map(lambda folder: sweep(small, folder, matrix, *words), folders))
    for answer, folder in zip(answers, folders, strict=True):
        assert answer.status == 0, answer.err[-4000:]
        assert "2 ok, 0 failed, 0 not run" in answer.out
        found = [one for one in recorded(folder) if one["cell"] == "cpu-py3.13-ray-devel"]
        assert found[-1]["status"] == "ok"
    runs = {one["run"] for folder in folders for one in recorded(folder)}
    both = {
        one["run"] for one in map(json.loads, succeed(*small.words(), "history", "contents").splitlines())
    }
    assert runs <= both


def test_an_image_that_is_too_large_fails_and_its_packages_are_named(
    small: SmallStack, tmp_path: Path
) -> None:
    gates = '[gates.max_gb]\n"*-runtime" = 0.01\n'
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES + gates)
    answer = sweep(small, tmp_path / "records", matrix, *CPU, "--target=runtime")
    assert answer.status != 0
    failure = recorded(tmp_path / "records")[-1]["failure"]
    assert (failure["kind"], failure["stage"]) == ("gate", "size")
    assert "more than the 0.01 GB of gate *-runtime" in answer.err
    assert failure["tail"], "packages"


def test_below_the_disk_floor_nothing_starts(small: SmallStack, tmp_path: Path) -> None:
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES)
    answer = dagger(*small.words(matrix=matrix), "matrix", "--cuda=cpu", "--disk-floor=900000")
    assert answer.status == 0
    assert "0 failed, 6 not run" in answer.out
    assert "below the floor of 900000 GB" in answer.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("matrix", "--limit=0"), "bad limit 0; accepted: 1 to 64 cells at once"),
        (("matrix", "--publish", "--verify=none"), "an image is not published unverified"),
        (("matrix", "--publish", "--repositories=nowhere"), "bad repository 'nowhere'"),
        (
            ("matrix", "--compression=zip"),
            "unknown compression 'zip' (did you mean 'gzip'?); accepted: zstd, gzip",
        ),
        (
            ("report", "--format=pdf"),
            "unknown report format 'pdf'; accepted: terminal, markdown, json, junit, html",
        ),
        (("plan", "--format=yaml"), "unknown plan format 'yaml'; accepted: text, json, github"),
    ],
)
def test_mistakes_are_told_before_anything_is_built(words: tuple[str, ...], message: str) -> None:
    answer = dagger("call", *words)
    assert answer.status != 0
    assert message in answer.error
    assert "Traceback" not in answer.err
