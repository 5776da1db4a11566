"""From a failed cell to its failing command: on the engine, as an image that is taken along, and in a terminal."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import IO, Any

import pytest
import zstandard

from tests.engine.conftest import ROOT, SmallStack, succeed
from tests.engine.test_matrix import PROMISES
from tests.engine.test_small_stack import quoted
from tests.stand_ins import small_stack
from tests.stand_ins.terminal import in_terminal, until

SCRIPT_FILE = "sh /run/cslr-images/failed.sh"
CPU = ("--cuda=cpu", "--python=3.13")


@pytest.fixture(scope="module")
def wrong_pin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a matrix that asks for a torchaudio that nobody has."""
    matrix = small_stack.matrix_with(tmp_path_factory.mktemp("pin") / "matrix.toml", more=PROMISES)
    text = matrix.read_text("utf-8")
    row = '"cpu" = { torch = "0.1.0", torchvision = "0.1.0", torchaudio = "'
    assert text.count(f'{row}0.1.0"') == 2
    matrix.write_text(text.replace(f'{row}0.1.0"', f'{row}9.9.9"'), "utf-8")
    return matrix


def test_the_command_fails_again_and_passes_when_its_input_is_right(
    small: SmallStack, wrong_pin: Path
) -> None:
    # One stream: the engine copies two of them side by side, in no certain order.
    commands = (
        f"exec 2>&1; {SCRIPT_FILE}; echo ended=$?; "
        f"sed -i s/9.9.9/0.1.0/ /run/requirements.txt; {SCRIPT_FILE}; echo ended=$?"
    )
    debug = [*small.words(matrix=wrong_pin), "debug", *CPU, "--target=devel"]
    printed = succeed(*debug, "with-exec", f"--args=sh,-c,{quoted(commands)}", "stdout")
    failed, repaired = printed.split("ended=1\n")
    assert "no version of torchaudio==9.9.9" in failed
    # The index, which is the test's own machine, is reached as in the build.
    assert repaired.endswith("ended=0\n")


def test_without_a_terminal_the_state_is_an_image(small: SmallStack, tmp_path: Path) -> None:
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, marimo=small_stack.POISONED)
    archive, root = tmp_path / "failed.tar", tmp_path / "root"
    ran = subprocess.run(
        [ROOT / "daggerw", "debug", *small.words(matrix=matrix)[1:], "--", *CPU, "--target=marimo-runtime"],
        cwd=ROOT,
        env={**os.environ, "CSLR_IMAGES_FAILED": str(archive)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert f"docker load --input {archive}\n" in ran.stdout
    configuration = unpacked(archive, root)
    assert configuration["User"] == "1000:1000"
    assert "ExposedPorts" not in configuration, "a terminal would wait for them"
    assert "check versions failed: exit status 66" in (root / "run/cslr-images/failed.txt").read_text()
    # As a container runtime would: with the image's user, and a /proc of its own.
    apart = ["unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc"]
    enter = [*apart, "--setgid=1000", "--setuid=1000", *SCRIPT_FILE.split()]
    assert subprocess.run(enter, check=False).returncode == 66
    next((root / "opt/env").glob("lib/python3.*/site-packages/zz_poison.pth")).unlink()
    kept = subprocess.run(enter, check=True, capture_output=True, text=True)
    assert json.loads(kept.stdout.splitlines()[-1])["versions"]["marimo"] == small_stack.POISONED
    shutil.rmtree(root)
    archive.unlink()


def unpacked(archive: Path, root: Path) -> dict[str, Any]:
    """Lay the layers of an image's archive over each other, and return its configuration."""
    with tarfile.open(archive) as image:
        manifest = json.load(image.extractfile("manifest.json") or io.BytesIO())[0]
        for layer in manifest["Layers"]:
            with opened(image.extractfile(layer) or io.BytesIO()) as files:
                files.extractall(root, filter="fully_trusted")  # noqa: S202 - made by this test
        configuration: dict[str, Any] = json.load(image.extractfile(manifest["Config"]) or io.BytesIO())
    found: dict[str, Any] = configuration["config"]
    return found


def opened(layer: IO[bytes]) -> tarfile.TarFile:
    """Open a layer; one that was published before is in the archive as it was compressed for that, by zstd."""
    zstd = layer.read(4) == zstandard.FRAME_HEADER
    layer.seek(0)
    if zstd:
        return tarfile.open(fileobj=zstandard.ZstdDecompressor().stream_reader(layer), mode="r|")
    return tarfile.open(fileobj=layer)


def test_in_a_terminal_it_says_what_to_type(small: SmallStack, wrong_pin: Path) -> None:
    words = [str(ROOT / "daggerw"), "debug", *small.words(matrix=wrong_pin)[1:], "--", *CPU, "--target=devel"]
    with in_terminal(words, ROOT) as terminal:
        screen = until(terminal, rb"again, type:\s+sh /run/cslr-images/failed.sh\s.*# ")
        assert b"cpu-py3.13-devel, torch: a step ended with exit status 1: sh /run/" in screen
        os.write(terminal, f"{SCRIPT_FILE}; echo ended=$?\r".encode())
        until(terminal, rb"torchaudio==9\.9\.9.*ended=1\r")
