"""Check that what `update-ca-certificates` adds is trusted by Python, pip, curl and git alike. Only root can run it.

A server on loopback shows a certificate of a CA that was made for the check: nobody may trust it before, and all must
afterwards.
"""

from __future__ import annotations

import argparse
import http.server
import importlib.util
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from check import CheckError, Facts, require, run_check

from common.small_wheels import write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "a" * 40


def make_pages(folder: Path) -> dict[str, bytes]:
    """Return what a git server without a program of its own answers, and an index of one package, by path."""
    wheel = write_wheel(folder, "checked", "1.0", {})
    return {
        "/": b"hello",
        "/repository/info/refs": f"{COMMIT}\trefs/heads/main\n".encode(),
        "/repository/HEAD": b"ref: refs/heads/main\n",
        "/simple/checked/": f'<html><body><a href="/{wheel.name}">{wheel.name}</a></body></html>'.encode(),
        f"/{wheel.name}": wheel.read_bytes(),
    }


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


# As strict as Python is since 3.13; the machine's own settings do not count.
SETTINGS = """\
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Make a CA and a certificate of it; return the CA's file, and the server's with its key."""
    (folder / "settings.cnf").write_text(SETTINGS, "utf-8")
    asks = ["req", "-config", "settings.cnf", "-newkey", "rsa:2048", "-nodes"]
    commands = [
        [*asks, "-x509", "-days", "2", "-subj", "/CN=Checked CA", "-keyout", "ca.key", "-out", "ca.crt"],
        [*asks, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
        [
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", "settings.cnf", "-extensions", "server", "-out", "server.crt"),
        ],
        ["verify", "-x509_strict", "-CAfile", "ca.crt", "server.crt"],
    ]
    for command in commands:
        # Debian's own: ca-certificates needs it, so it is there.
        done = subprocess.run(["/usr/bin/openssl", *command], cwd=folder, capture_output=True, text=True)
        require(done.returncode == 0, f"openssl {command[0]}: {done.stderr.strip()[-300:]}")
    server = folder / "server.pem"
    server.write_text((folder / "server.key").read_text("utf-8") + (folder / "server.crt").read_text("utf-8"))
    return folder / "ca.crt", server


class Answer(http.server.BaseHTTPRequestHandler):
    """Answer with the pages."""

    def do_GET(self) -> None:
        """Answer one request."""
        assert isinstance(self.server, Server)
        page = self.server.pages.get(self.path.partition("?")[0])
        body = page or b""
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Type", "text/html" if "simple" in self.path else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server of pages, which says nothing of clients that do not trust it."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        """Listen on a free port of loopback; `pages` are by path."""
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages = pages

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@contextmanager
def serve(certificate: Path, pages: dict[str, bytes]) -> Iterator[str]:
    """Serve the pages, and give their address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Server(pages)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def list_clients(address: str, scratch: Path) -> dict[str, tuple[list[str], str]]:
    """List the clients that the image has: a command that asks the server, and what it prints if it gets the answer."""
    python = sys.executable
    urllib = f"import urllib.request as r; print(r.urlopen('{address}/').read().decode())"
    clients = {"Python": ([python, "-c", urllib], "hello")}
    index = ["--index-url", f"{address}/simple/", "--no-deps", "checked"]
    pip = [python, "-m", "pip", "--disable-pip-version-check", "download", "--retries=0", "--no-cache-dir"]
    clients["pip"] = ([*pip, "--dest", str(scratch), *index], "Successfully downloaded checked")
    if importlib.util.find_spec("requests"):
        clients["requests"] = (
            [python, "-c", f"import requests; print(requests.get('{address}/').text)"],
            "hello",
        )
    if curl := shutil.which("curl"):
        clients["curl"] = ([curl, "--silent", "--show-error", f"{address}/"], "hello")
    if git := shutil.which("git"):
        clients["git"] = ([git, "ls-remote", f"{address}/repository"], COMMIT)
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--dry-run", "--no-cache", "--python", python]
        clients["uv"] = ([*install, *index], "checked==1.0")
    return clients


def ask(command: list[str], wanted: str) -> str:
    """Return why a client does not get the answer; empty if it does."""
    done = run("env", "no_proxy=localhost", "NO_PROXY=localhost", *command)
    said = done.stdout + done.stderr
    refused = "certificate verify failed" in said.lower() or "unknownissuer" in said.lower()
    return "" if wanted in said and not refused else " ".join(said.split())[-200:] or "says nothing"


def check() -> Facts:
    """Ask before and after the CA is added."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--update", default="update-ca-certificates", help="adds the CA (default: %(default)s)"
    )
    parser.add_argument("--added", type=Path, default=Path("/usr/local/share/ca-certificates"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        authority, certificate = make_certificates(Path(name))
        with serve(certificate, make_pages(Path(name))) as address:
            clients = list_clients(address, Path(name))
            early = [client for client, (command, wanted) in clients.items() if not ask(command, wanted)]
            require(not early, f"{', '.join(early)} trusts a CA that nobody has added")
            shutil.copy(authority, options.added / "checked.crt")
            done = run(*shlex.split(options.update))
            if done.returncode:
                raise CheckError(f"{options.update}: {done.stderr.strip()[-300:]}")
            wrong = [
                f"{client} ({why})"
                for client, (command, wanted) in clients.items()
                if (why := ask(command, wanted))
            ]
    require(not wrong, f"the CA that was added is not trusted by {'; '.join(wrong)}")
    return {"clients": list(clients)}


if __name__ == "__main__":
    run_check(check)
