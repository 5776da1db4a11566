"""Check that marimo serves a notebook: its page is served over HTTP and has the element that the application needs."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from check import CheckError, Facts, require, run_check

NOTEBOOK = """\
import marimo

app = marimo.App()


@app.cell
def _():
    answer = 6 * 7
    return (answer,)


if __name__ == "__main__":
    app.run()
"""
MOUNT_POINT = 'id="root"'


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def fetch(address: str, server: subprocess.Popen[bytes], patience: float) -> tuple[int, str]:
    """Return status and text of a page, as soon as the server responds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if server.poll() is not None:
            raise CheckError(f"marimo ended with status {server.returncode}")
        try:
            with opener.open(address, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            raise CheckError(f"{address} answers {error.code}") from error
        except OSError:
            time.sleep(0.2)
    raise CheckError(f"marimo does not answer within {patience:.0f} s")


def check() -> Facts:
    """Serve a notebook and read its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("run", "edit"), default="run", help="default: %(default)s")
    parser.add_argument("--patience", type=float, default=90, metavar="SECONDS", help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notebook, log, port = Path(folder, "notebook.py"), Path(folder, "log"), free_port()
        notebook.write_text(NOTEBOOK, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "marimo",
            "--yes",
            options.mode,
            str(notebook),
            "--headless",
            "--no-token",
        ]
        command += ["--skip-update-check"] if options.mode == "edit" else []
        with log.open("wb") as out:
            server = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=folder,
                env={**os.environ, "DO_NOT_TRACK": "1"},
            )
            began = time.monotonic()
            try:
                status, page = fetch(f"http://127.0.0.1:{port}/", server, options.patience)
            except CheckError:
                print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
                raise
            finally:
                server.terminate()
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
    require(status == 200, f"the page answers {status}")
    require(MOUNT_POINT in page and "marimo" in page, f"the page has no {MOUNT_POINT}: {page[:200]!r}")
    return {"status": status, "bytes": len(page), "answered_after": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    run_check(check)
