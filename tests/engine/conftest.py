"""Provide one engine, one small stack and one way to call the module, for all engine tests."""

import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.progress import COLORS
from tests.stand_ins import servers, small_stack
from tests.stand_ins.cache import CACHE
from tests.stand_ins.mirror import shared_mirror

ROOT = Path(__file__).resolve().parents[2]
# The steps by which the SDK loads the module: shown while another client loads it too.
LOADING = ("/opt/runtime/install.py",)


@dataclass(frozen=True)
class Answer:
    """What a call printed and how it ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The message of the call's last line, without Dagger's trace id."""
        line = next(line for line in reversed(self.err.splitlines()) if line.startswith("Error: "))
        return line.removeprefix("Error: ").split(" [traceparent")[0]

    @property
    def steps(self) -> list[str]:
        """The lines of its log that are of steps which the module asked for."""
        plain = COLORS.sub("", self.err)
        lines = re.findall(r"^(\d+) *: (.*withExec.*)$", plain, re.MULTILINE)
        loading = {number for number, line in lines if any(step in line for step in LOADING)}
        return [line for number, line in lines if number not in loading]


def answer_of(*command: str | Path, environment: dict[str, str] | None = None) -> Answer:
    """Run a command in the repository; how it ends is for the caller to judge."""
    ran = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def dagger(*words: str) -> Answer:
    """Run daggerw as a user would."""
    return answer_of(ROOT / "daggerw", *words)


def succeed(*words: str) -> str:
    """Run daggerw, expect success, and return what it printed."""
    answer = dagger(*words)
    assert answer.status == 0, answer.err[-4000:]
    return answer.out


@dataclass(frozen=True)
class SmallStack:
    """The mirror on loopback and the files that point at it."""

    port: int
    matrix: Path
    folder: Path
    mirrors: Path

    def words(
        self, sources: str = "registries", mirrors: Path | None = None, matrix: Path | None = None
    ) -> list[str]:
        """Return the options that lead a call of the module to the small stack."""
        return [
            "call",
            f"--sources={sources}",
            f"--matrix-file={matrix or self.matrix}",
            f"--mirrors={mirrors or self.mirrors}",
            f"--mirror-service=tcp://127.0.0.1:{self.port}",
        ]

    def fail(self, path: str, times: int) -> None:
        """Let the mirror answer 503 for a path, so many times; other tests ask the same mirror."""
        address = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(urllib.request.Request(address, str(times).encode(), method="PUT")):
            pass


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Start the engine once; what it costs is not the first test's."""
    succeed("functions")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStack]:
    """Serve the stand-ins on loopback: the same ones to all processes of a run."""
    folder = tmp_path_factory.mktemp("small-stack")
    # pytest-xdist gives each of its workers a folder in the run's.
    run = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with shared_mirror(run / "served") as (served, port):
        mirrors = folder / "mirrors.toml"
        mirrors.write_text(f'[wheels]\nindex = "http://mirror:{port}/simple"\n', "utf-8")
        matrix = small_stack.matrix_with(folder / "matrix.toml")
        yield SmallStack(port=port, matrix=matrix, folder=served, mirrors=mirrors)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run an image registry on loopback, with the program that the embedded engine has for its own."""
    crane = next(CACHE.glob("parts/tools-*/crane"))
    with servers.image_registry(crane, tmp_path_factory.mktemp("registry")) as port:
        yield port
