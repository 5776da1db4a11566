"""Limit the time of a whole HTTP exchange: a server that sends a byte at a time keeps every single wait short."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Deadline:
    """The end of an exchange, and the connections that are shut down then."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, *arguments: Any) -> socket.socket:
        """Connect, as `socket.create_connection` does."""
        made = socket.create_connection(*arguments)
        with self._lock:
            # A copy: a socket that TLS wraps loses its connection to the wrapper.
            self._sockets.append(made.dup())
        if self.expired:
            self._shut_down()
        return made

    def close(self) -> None:
        """Forget the connections."""
        self._timer.cancel()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    def _expire(self) -> None:
        self.expired = True
        self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_connect, http.client.HTTPConnection, self._deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_connect, http.client.HTTPSConnection, self._deadline), req)


def _connect(
    kind: type[http.client.HTTPConnection], deadline: _Deadline, *arguments: Any, **more: Any
) -> Any:
    connection: Any = kind(*arguments, **more)
    connection._create_connection = deadline.connect
    return connection


@contextmanager
def open_within(
    request: urllib.request.Request, seconds: float, *handlers: urllib.request.BaseHandler
) -> Iterator[http.client.HTTPResponse]:
    """Send a request; the exchange, with redirections and reading the response, ends after `seconds`.

    Raises:
        TimeoutError: it took longer.
        OSError, http.client.HTTPException, ValueError: as `urllib.request.urlopen`.
    """
    deadline = _Deadline(seconds)
    try:
        opener = urllib.request.build_opener(_Http(deadline), _Https(deadline), *handlers)
        with opener.open(request, timeout=seconds) as reply:
            yield reply
    except Exception:
        if deadline.expired:
            raise TimeoutError("timed out") from None
        raise
    finally:
        deadline.close()
    if deadline.expired:
        raise TimeoutError("timed out")
