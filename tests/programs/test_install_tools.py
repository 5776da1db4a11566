"""install_tools.sh with a real pip, and an index on loopback that does not answer."""

import os
import subprocess
from pathlib import Path

from ci.history.failures import classify_failure
from tests.programs.conftest import PROGRAMS
from tests.stand_ins.servers import folder_over_http

# The program writes pip's log into /run: here into one that no other process sees.
APART = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec sh "$@"', "sh")


def test_an_index_that_does_not_answer_is_a_network_failure(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"conda-pack==0.9.2 --hash=sha256:{'0' * 64}\n", "utf-8")
    with folder_over_http(tmp_path, {"/simple/conda-pack/": 100}) as port:
        done = subprocess.run(
            [*APART, PROGRAMS / "install_tools.sh", tmp_path / "tools", lock],
            env={**os.environ, "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    # Without the log, pip says only that the index has no such version.
    assert "Could not fetch URL" in done.stderr
    assert classify_failure("base", done.stderr, exit_code=1).kind == "network"
