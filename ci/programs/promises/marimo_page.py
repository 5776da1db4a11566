"""marimo serves a notebook: its page answers over HTTP and has the place where the application mounts."""

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

from promise import Facts, PromiseError, expect, keep

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
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def fetch(address: str, server: subprocess.Popen[bytes], patience: float) -> tuple[int, str]:
    """The page, as soon as the server answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if server.poll() is not None:
            raise PromiseError(f"marimo ended with status {server.returncode}")
        try:
            with opener.open(address, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            raise PromiseError(f"{address} answers {error.code}") from error
        except OSError:
            time.sleep(0.2)
    raise PromiseError(f"marimo does not answer within {patience:.0f} s")


def check() -> Facts:
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
            except PromiseError:
                print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
                raise
            finally:
                server.terminate()
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
    expect(status == 200, f"the page answers {status}")
    expect(MOUNT_POINT in page and "marimo" in page, f"the page has no {MOUNT_POINT}: {page[:200]!r}")
    return {"status": status, "bytes": len(page), "answered_after": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    keep(check)
