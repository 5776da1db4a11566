"""A site without a network: a bundle is made here and carried there, where there is neither a route nor an engine yet.

There, an empty cache folder, no Go, and a network namespace with nothing but loopback stand for the other machine. Its
engine, which no other test uses, is also the one that is killed.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci.programs import make_bundle
from tests.engine.conftest import ROOT, Answer, SmallStack, answer_of, dagger, succeed
from tests.engine.test_crash import wait_for
from tests.engine.test_matrix import PROMISES
from tests.engine.test_small_stack import quoted
from tests.stand_ins import small_stack
from tests.stand_ins.cache import CACHE

CELL = ("--cuda=cpu", "--python=3.13", "--target=runtime")
AIRGAP = ["unshare", "--net", "--mount", str(ROOT / "tests/stand_ins/airgap.sh")]
CONDA_MADE = "/opt/env: "  # what make_env.py prints of an environment that is made
PYTHON = "/opt/env/bin/python"
# The route of last resort, or any other but loopback's, would be a way out.
LOOK = """
import socket, subprocess
routes = subprocess.run(["ip", "route", "show", "table", "all"], capture_output=True, text=True, check=True).stdout
assert all(" dev lo " in route for route in routes.splitlines()), routes
try:
    socket.create_connection(("192.0.2.1", 443), 5)
except OSError as error:
    print(error.strerror)
"""
SEE = """
import pathlib, torch, torch_scatter
print(torch.__version__, *(path.name for path in pathlib.Path(torch_scatter.__file__).parent.glob("*.so")))
"""


@dataclass(frozen=True)
class Carried:
    """A bundle of one cell, and the matrix that it was made with."""

    folder: Path
    matrix: Path

    def words(self, folder: Path | None = None) -> list[str]:
        """Return the beginning of a call that builds from the bundle: no mirror, nothing but it."""
        return ["call", f"--sources=bundle:{folder or self.folder}", f"--matrix-file={self.matrix}"]

    def copy(self, folder: Path) -> Path:
        """Copy the bundle by links, without the engine, to be spoiled; its contents are replaced, never changed."""
        manifest = make_bundle.manifest_of(self.folder)
        files = {
            one.path: self.folder / one.blob for one in manifest.files if not one.path.startswith("engine/")
        }
        (folder / make_bundle.BLOBS).mkdir(parents=True)
        for source in files.values():
            if not (folder / make_bundle.BLOBS / source.name).exists():
                shutil.copy(source, folder / make_bundle.BLOBS / source.name)
        sets = [one for one in manifest.sets if not one.startswith("engine/")]
        make_bundle.add(folder, make_bundle.Manifest(manifest.sources, manifest.cells, (), ()), sets, files)
        return folder

    def wheel(self) -> make_bundle.Entry:
        """Return the entry of torch's wheel."""
        found = [one for one in make_bundle.manifest_of(self.folder).files if one.name.startswith("torch-0")]
        return found[0]


@pytest.fixture(scope="module")
def carried(small: SmallStack, tmp_path_factory: pytest.TempPathFactory) -> Carried:
    folder = tmp_path_factory.mktemp("carried")
    matrix = small_stack.matrix_with(folder / "matrix.toml", more=PROMISES)
    succeed("bundle", str(folder / "bundle"), *small.words(matrix=matrix)[1:], "--", *CELL)
    return Carried(folder / "bundle", matrix)


@dataclass(frozen=True)
class Machine:
    """The other machine: its network, which the process holds, and an environment without Go or a cache folder."""

    process: int
    environment: dict[str, str]

    def words(self, *command: str | Path) -> list[str | Path]:
        """Return the words that run a command there."""
        return ["nsenter", f"--target={self.process}", "--net", "--mount", f"--wdns={ROOT}", *command]

    def run(self, *command: str | Path) -> Answer:
        """Run a command there."""
        return answer_of(*self.words(*command), environment=self.environment)

    def kill_engine(self) -> None:
        """End the engine as a crash would; by the id that daggerw wrote down."""
        record = Path(self.environment["CSLR_IMAGES_CACHE"]) / "run/engine.record.json"
        os.kill(json.loads(record.read_text("utf-8"))["init"]["pid"], signal.SIGKILL)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Machine]:
    folder = Path(f"{CACHE}-airgap-{os.getpid()}")
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": os.environ["HOME"],
        "CSLR_IMAGES_CACHE": str(folder),
    }
    holder = [*AIRGAP, "sh", "-c", "echo ready; exec cat"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == b"ready\n"
            yield Machine(process.pid, environment)
        finally:
            clean(folder, environment)
            process.stdin.close()


def clean(folder: Path, environment: dict[str, str]) -> None:
    """Stop the engine of a cache folder and remove the folder; an interrupted test run does not wait for it."""
    command = '"$1" clean --all >/dev/null; rm -rf "$2"'
    # Not by subprocess.run, which kills what it runs when it is interrupted.
    words = ["sh", "-c", command, "sh", str(ROOT / "daggerw"), str(folder)]
    assert subprocess.Popen(words, env=environment, start_new_session=True).wait() == 0


def test_a_bundle_is_whole_and_told(carried: Carried) -> None:
    said = succeed("bundle", "verify", str(carried.folder))
    assert said.startswith("whole: ")
    assert "for cpu-py3.13-runtime" in said
    kinds = {one.kind for one in make_bundle.manifest_of(carried.folder).files}
    assert kinds == {"images", "debs", "wheels", "sdists", "channel", "engine"}
    assert succeed("bundle", "diff", str(carried.folder), str(carried.folder)) == "the same\n"


def test_there_is_no_network_there(elsewhere: Machine) -> None:
    answer = elsewhere.run("python3", "-c", LOOK)
    assert (answer.status, answer.out) == (0, "Network is unreachable\n"), answer.err
    assert shutil.which("go", path=elsewhere.environment["PATH"]) is None


def test_a_cell_is_built_without_a_network_and_keeps_its_promises(
    carried: Carried, elsewhere: Machine
) -> None:
    words = (str(ROOT / "daggerw"), *carried.words())
    verified = elsewhere.run(*words, "verify", *CELL)
    assert verified.status == 0, verified.err[-4000:]
    assert "makes the embedded engine" in verified.err
    assert "all 3 checks passed" in verified.out
    seen = elsewhere.run(*words, "build", *CELL, "with-exec", f"--args={PYTHON},-c,{quoted(SEE)}", "stdout")
    assert seen.status == 0, seen.err[-4000:]
    assert seen.out.splitlines()[-1] == "0.1.0+cu130 _stand_in_cpu.cpython-313-x86_64-linux-gnu.so"


def test_a_killed_engine_loses_nothing(carried: Carried, elsewhere: Machine, tmp_path: Path) -> None:
    # A user that no run had before: the stages from the base upwards are really built.
    uid = 2_000 + secrets.randbelow(50_000)
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, uid=uid)
    options = (f"--sources=bundle:{carried.folder}", f"--matrix-file={matrix}")
    words = (str(ROOT / "daggerw"), "--progress=plain", "call", *options)
    sweep = (*words, "matrix", *CELL, "--disk-floor=1")
    log = tmp_path / "first.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            elsewhere.words(*sweep),
            cwd=ROOT,
            env=elsewhere.environment,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        ) as first,
    ):
        wait_for(log, CONDA_MADE, first)
        # Only then has the engine kept it: the next step may be announced before.
        wait_for(log, "conda: done after", first)
        elsewhere.kill_engine()
        # dagger's client waits for an engine that is gone, and for a second Ctrl-C: it is killed too.
        first.kill()
        first.wait()
    second = elsewhere.run(*sweep)
    assert second.status == 0, second.err[-4000:]
    assert "1 ok, 0 failed, 0 not run" in second.out
    # What was finished is not run again.
    assert CONDA_MADE not in second.err
    printed = elsewhere.run(*words, "history", "contents")
    records = [json.loads(line) for line in printed.out.splitlines()]
    assert [record["status"] for record in records] == ["building", "building", "ok"]


def test_a_content_that_is_missing_is_named_before_anything_is_built(
    carried: Carried, tmp_path: Path
) -> None:
    spoiled, wheel = carried.copy(tmp_path / "bundle"), carried.wheel()
    (spoiled / wheel.blob).unlink()
    answer = dagger(*carried.words(spoiled), "build", *CELL)
    assert answer.status != 0
    assert f"{wheel.path} should be {wheel.size} bytes with SHA-256 {wheel.sha256}" in answer.error
    assert "Traceback" not in answer.err


def test_a_content_that_is_damaged_is_named(carried: Carried, tmp_path: Path) -> None:
    spoiled, wheel = carried.copy(tmp_path / "bundle"), carried.wheel()
    content = (spoiled / wheel.blob).read_bytes()
    (spoiled / wheel.blob).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    answer = dagger(*carried.words(spoiled), "build", *CELL)
    assert answer.status != 0
    assert f"the bundle is damaged: {wheel.path}" in answer.error


def test_a_wheel_that_is_not_in_the_list_is_not_fetched_from_anywhere(
    carried: Carried, tmp_path: Path
) -> None:
    spoiled, wheel = carried.copy(tmp_path / "bundle"), carried.wheel()
    known = json.loads((spoiled / make_bundle.MANIFEST).read_text("utf-8"))
    known["files"] = [one for one in known["files"] if not one["name"].startswith("torch-0")]
    (spoiled / make_bundle.MANIFEST).write_text(json.dumps(known), "utf-8")
    (spoiled / wheel.path).unlink()
    answer = dagger(*carried.words(spoiled), "build", *CELL)
    assert answer.status != 0
    assert "install_packages.sh" in answer.err
    assert "torch" in answer.err


def test_a_cell_that_the_bundle_lacks_is_named(carried: Carried) -> None:
    answer = dagger(*carried.words(), "build", "--cuda=cpu", "--python=3.13", "--target=ray-runtime")
    assert answer.status != 0
    assert "the bundle lacks wheels/cpu-py3.13-ray-" in answer.error
    assert "for cpu-py3.13-ray-runtime; it was made for: cpu-py3.13-runtime" in answer.error
