"""Serve stand-ins of indexes on loopback: pages with validators, a registry with tokens, a server that hangs.

They have the documented formats of PyPI, PyTorch's index, PyG's page of wheels, a conda channel and an image
registry. Requests and the statuses of their answers are recorded.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# pip's own constant: the address of its default index is written in no file of this repository.
from pip._internal.models.index import PyPI

SIMPLE = "application/vnd.pypi.simple.v1+json"
TOKEN = "anonymous-reader"  # noqa: S105 - what the stand-in of a registry gives to anybody


@dataclass
class Indexes:
    """What is served (text by path), what hangs until the test ends, and what was answered: path and status."""

    port: int
    pages: dict[str, str] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    answered: list[tuple[str, int]] = field(default_factory=list)

    def count(self, status: int, part: str = "") -> int:
        """Count the answers with a status to paths that hold a part."""
        return sum(one[1] == status and part in one[0] for one in self.answered)


def project(name: str, files: Mapping[str, str] | list[str], **more: object) -> str:
    """Return a project's page as JSON (PEP 691), from file names or from what they require of Python."""
    python = files if isinstance(files, dict) else {}
    rows = [
        {
            "filename": one,
            "url": f"../../files/{one}",
            "hashes": {},
            "requires-python": python.get(one),
            **more,
        }
        for one in files
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": rows})


def repodata(*pythons: str) -> str:
    """Return a channel's index with builds of CPython."""
    rows = {
        f"python-{version}-h_0_cp{version.split('.')[1]}.conda": {
            "name": "python",
            "version": version,
            "build": f"h_0_cp3{version.split('.')[1]}",
            "build_number": 0,
            "depends": [],
            "subdir": "linux-64",
            "md5": "0" * 32,
            "sha256": "0" * 64,
            "size": 1,
        }
        for version in pythons
    }
    return json.dumps({"info": {"subdir": "linux-64"}, "packages": {}, "packages.conda": rows})


@contextmanager
def indexes(wanted: int = 0) -> Iterator[Indexes]:
    """Serve on 127.0.0.1, on the wanted port if it is free, else on another.

    Below /v2 a token is wanted and lists of tags have two pages; a project that is not served below /simple is passed
    on to the index that pip uses.
    """
    known: list[Indexes] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served = known[0]
            path, _, query = self.path.partition("?")
            if path in served.hanging:
                ended.wait()
                return
            if path == "/token":
                self.answer(200, served.pages.get("/token", json.dumps({"token": TOKEN})))
            elif path.startswith("/v2/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                realm = f"http://{self.headers['Host']}/token"
                self.answer(401, "", **{"WWW-Authenticate": f'Bearer realm="{realm}",service="x",scope="y"'})
            elif path.startswith("/v2/") and path in served.pages:
                self.tags(json.loads(served.pages[path]), query)
            elif path in served.pages:
                self.page(served.pages[path])
            elif path.startswith("/simple/"):
                self.answer(302, "", Location=f"{PyPI.simple_url.rstrip('/')}/{path.split('/')[2]}/")
            else:
                self.answer(404, "no such page")

        do_HEAD = do_GET  # noqa: N815 - the name that the base class calls

        def page(self, text: str) -> None:
            tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == tag:
                self.answer(304, "")
            else:
                kind = SIMPLE if text.startswith("{") else "text/html"
                self.answer(200, text, ETag=tag, **{"Content-Type": kind})

        def tags(self, all_of_them: list[str], query: str) -> None:
            half = len(all_of_them) // 2
            if "last=" in query:
                self.answer(200, json.dumps({"name": "x", "tags": all_of_them[half:]}))
            else:
                link = f'<{self.path}?last=x>; rel="next"'
                self.answer(200, json.dumps({"name": "x", "tags": all_of_them[:half]}), Link=link)

        def answer(self, status: int, text: str, **headers: str) -> None:
            known[0].answered.append((self.path, status))
            body = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", wanted), Handler)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known.append(Indexes(server.server_port))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield known[0]
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
