"""Servers on loopback for a test: a folder over HTTP, and an image registry. Each ends with its context."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# pip's own constant: the address of its default index is written in no file of this repository.
from pip._internal.models.index import PyPI


class _Mirror(SimpleHTTPRequestHandler):
    """Serves a folder; a project that is not in its `simple` folder is passed on to the index that pip uses."""

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and not Path(self.translate_path(self.path)).exists():
            self.send_response(302)
            self.send_header("Location", f"{PyPI.simple_url.rstrip('/')}/{parts[1]}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def folder_over_http(folder: Path) -> Iterator[int]:
    """Serve a folder on a free port of 127.0.0.1; gives the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Mirror, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def image_registry(crane: Path, folder: Path) -> Iterator[int]:
    """Run a registry without authentication on a free port of 127.0.0.1; gives the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [str(crane), "registry", "serve", "--address", address, "--disk", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"the registry ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the registry did not open its port in 10 s")
