"""Run an HTTP proxy on loopback in front of one server, which counts requests and fails those that a test chooses."""

import hashlib
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Proxy:
    """What passed (method, path, status, and the program that asked), and what is broken.

    `fault` gives by method and path the status of an answer for which the server is not asked; 0 lets it pass.
    `lead` gives by method, path and program the path that the server is asked for instead.
    """

    port: int
    fault: Callable[[str, str], int] = lambda *_: 0
    lead: Callable[[str, str, str], str] = lambda _, path, __: path
    passed: list[tuple[str, str, int, str]] = field(default_factory=list)

    def count(self, method: str, part: str) -> int:
        """Count the requests of a method to paths that hold a part and that went well."""
        return sum(one[0] == method and part in one[1] and one[2] < 300 for one in self.passed)


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """Pass all requests on to a port of 127.0.0.1."""
    known: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            proxy: Proxy = known["proxy"]
            body = self.body()
            agent = self.headers.get("User-Agent", "")
            if status := proxy.fault(self.command, self.path):
                proxy.passed.append((self.command, self.path, status, agent))
                self.send_response(status)
                # As a registry answers what it has stored: whoever pushes looks at it.
                self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            server = http.client.HTTPConnection("127.0.0.1", target, timeout=60)
            kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            path = proxy.lead(self.command, self.path, agent)
            server.request(self.command, path, body=body, headers=kept)
            answer = server.getresponse()
            content = answer.read()
            proxy.passed.append((self.command, self.path, answer.status, agent))
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)
            server.close()

        # The names that the base class calls.
        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = known["proxy"] = Proxy(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[int, list[bytes]]]:
    """Listen on a free port of 127.0.0.1 and keep what is posted; answers with a status."""
    posted: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, posted
    finally:
        server.shutdown()
        server.server_close()
