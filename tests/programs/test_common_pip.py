"""The log of a real pip says why an index on loopback does not answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.history.failures import classify_failure
from common.pip import explain_pip
from tests.stand_ins.servers import folder_over_http


def test_an_index_that_does_not_answer_is_a_network_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(port: int) -> None:
        with explain_pip() as logged:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--retries=0",
                *logged,
            ]
            subprocess.run(
                [*command, f"--dest={tmp_path}", "conda-pack==0.9.2"],
                env={**os.environ, "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"},
                check=True,
            )

    with (
        folder_over_http(tmp_path, {"/simple/conda-pack/": 100}) as port,
        pytest.raises(subprocess.CalledProcessError),
    ):
        download(port)
    said = capsys.readouterr().err
    assert said.startswith("Could not fetch URL http://127.0.0.1:")
    assert classify_failure("wheels", said, exit_code=1).kind == "network"


def test_what_succeeds_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with explain_pip() as (option, log):
        assert option == "--log"
        Path(log).write_text("Could not fetch URL x\n", "utf-8")
    assert capsys.readouterr().err == ""
    assert not Path(log).exists()
