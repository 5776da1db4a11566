"""Run servers on loopback for a test: a folder over HTTP, and image registries; each ends with its context."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

# pip's own constant: the address of its default index is written in no file of this repository.
from pip._internal.models.index import PyPI


class _Mirror(SimpleHTTPRequestHandler):
    """Serves a folder; a project that is not in its `simple` folder is passed on to the index that pip uses."""

    # How many times a path is still to answer that it is out of service.
    faults: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        if self.faults.get(self.path, 0) > 0:
            self.faults[self.path] -= 1
            self.send_error(503)
            return
        parts = self.path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and not Path(self.translate_path(self.path)).exists():
            self.send_response(302)
            self.send_header("Location", f"{PyPI.simple_url.rstrip('/')}/{parts[1]}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def do_PUT(self) -> None:
        """Set how many times a path is to answer 503, for tests in other processes."""
        self.faults[self.path] = int(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def folder_over_http(folder: Path, faults: dict[str, int] | None = None, wanted: int = 0) -> Iterator[int]:
    """Serve a folder on 127.0.0.1, on the wanted port if it is free, else on another; gives the port.

    `faults` says for each path how many times it answers 503 before it works; it may be changed meanwhile.
    """
    handler = partial(
        type("Mirror", (_Mirror,), {"faults": {} if faults is None else faults}), directory=str(folder)
    )
    try:
        server = ThreadingHTTPServer(("127.0.0.1", wanted), handler)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
    folder.mkdir(exist_ok=True)
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [str(crane), "registry", "serve", "--address", address, "--disk", str(folder)]
    with _running(command, port):
        yield port


# User and password of the private registry, and the password's bcrypt hash as htpasswd writes it.
USER, PASSWORD = "wall-e", "correct-horse-7"
_HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuBYe9o9CGi/BHa4OAlLpruMUDfwV3Rby\n"
_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}
http: {{addr: "127.0.0.1:{port}", secret: for-tests}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@contextmanager
def private_registry(folder: Path) -> Iterator[int]:
    """Run the registry of Debian's docker-registry, which asks for a password, on a free port of 127.0.0.1."""
    port = free_port()
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder, port=port))
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with _running(command, port):
        yield port


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """Run a registry's program from when its port is open to the end of the context."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(f"the registry ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the registry did not open its port in a minute")
