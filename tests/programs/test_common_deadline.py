"""common/deadline.py: the time of a whole exchange, against servers on loopback."""

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from common.deadline import open_within

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answer one connection after the other, and give the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65536)
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def request(address: str) -> urllib.request.Request:
    """Return a request."""
    return urllib.request.Request(address)  # noqa: S310 - http, on loopback


def read(address: str, size: int, pause: float) -> None:
    """Read some bytes within 0.3 seconds, and go on after a pause (seconds)."""
    with open_within(request(address), 0.3) as reply:
        reply.read(size)
        time.sleep(pause)


def drip(connection: socket.socket) -> None:
    """Send a byte at a time, for ever, so that no single wait is long."""
    connection.sendall(HEAD.replace(b": 5", b": 100000"))
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def test_a_quick_answer_is_read_and_its_connection_closed() -> None:
    before = set(threading.enumerate())
    with server(lambda connection: connection.sendall(HEAD + b"hello")) as address:
        with open_within(request(address), 60) as reply:
            assert reply.read() == b"hello"
        for thread in set(threading.enumerate()) - before:  # the timer, which has nothing to wait for
            if isinstance(thread, threading.Timer):
                thread.join(timeout=30)
                assert not thread.is_alive()


@pytest.mark.parametrize(("size", "pause"), [(100_000, 0.0), (1, 0.6)], ids=["reads all", "reads one byte"])
def test_an_exchange_that_drips_ends_at_its_time(size: int, pause: float) -> None:
    with server(drip) as address, pytest.raises(TimeoutError, match="timed out"):
        read(address, size, pause)


def test_a_failure_before_that_is_told_as_it_is() -> None:
    nonsense = server(lambda connection: connection.sendall(b"nonsense\r\n\r\n"))
    with nonsense as address, pytest.raises(http.client.BadStatusLine), open_within(request(address), 60):
        pass
