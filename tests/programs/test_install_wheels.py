"""install_wheels.sh: wheels whose hashes are known are checked before anything is installed."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from ci.history.failures import classify_failure
from tests.programs.conftest import PROGRAMS

NAME = "one-1.0-py3-none-any.whl"


def install(folder: Path) -> tuple[int, str]:
    """Run the program with an environment that is not there; return its status and what it printed."""
    command: list[str | Path] = ["sh", PROGRAMS / "install_wheels.sh", folder / "env", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("content", [b"changed", None])
def test_a_wheel_that_is_not_the_one_of_its_hash_is_not_installed(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / NAME).write_bytes(content)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'wheel').hexdigest()}  {NAME}\n")
    status, printed = install(tmp_path)
    assert status == 1
    assert f"{NAME}: FAILED" in printed
    assert "uv" not in printed.replace(str(tmp_path), ""), "it is not even asked to install"
    if content is not None:
        assert classify_failure("pyg", printed, exit_code=status).kind == "hash-mismatch"


@pytest.mark.parametrize("hashed", [True, False])
def test_a_right_wheel_comes_to_be_installed(tmp_path: Path, *, hashed: bool) -> None:
    (tmp_path / NAME).write_bytes(b"wheel")
    if hashed:
        (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'wheel').hexdigest()}  {NAME}\n")
    _, printed = install(tmp_path)
    assert "FAILED" not in printed
    assert "uv" in printed or str(tmp_path / "env") in printed, "it fails for the environment, or for uv"
