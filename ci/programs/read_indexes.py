"""Read pages of package indexes, channels and registries: read_indexes.py ASKS ANSWERS --cache DIR [--timeout SECONDS]

ASKS is a JSON list of queries, {"kind", "address", "name"}; ANSWERS is written as the list of responses in the same
order, {"address", "status", "bodies", "problem"}. Kinds:

    project   a project's page on an index (PEP 503, PEP 691); an empty address means pip's configured index
    page      any page
    tags      the tags of an image repository, all pages of the list (OCI distribution API, anonymous token)
    metadata  a wheel's metadata file (PEP 658)
    wheel     the same, read from the wheel by ranges, for indexes that serve no such file
    conda     the builds of a package in a conda channel: [["3.13.5", "h_0_cp313"], ...]

A page with an ETag or a date is cached in DIR and later requested conditionally; the metadata of a wheel never changes
and is requested once. A page that cannot be read gives a problem, never an older copy.
Needs: pip, for its default index; py-rattler, for channels.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import io
import json
import os
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from common.deadline import open_within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

SIMPLE = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
ANY = "*/*"
AT_ONCE = 8
LARGEST = 200_000_000  # bytes of a page
MOST_PAGES = 200  # of a list of tags
UNUSED = 90 * 86_400  # seconds without a query after which a page is deleted
BLOCK = 64 * 1024  # bytes of a wheel that are read at a time


class UnreadError(Exception):
    """A page that could not be read; `status` is the HTTP status, if there was a response."""

    def __init__(self, problem: str, status: int | None = None) -> None:
        super().__init__(" ".join(problem.split())[:300])
        self.status = status


@dataclass
class Reply:
    """A response; `url` is the address after redirections."""

    url: str
    status: int
    headers: Message
    body: bytes


class Reader:
    """Read pages; `timeout` is in seconds for each wait, and three times that for a whole page."""

    def __init__(self, cache: Path, timeout: float) -> None:
        self.cache = cache
        self.timeout = timeout

    def respond(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the response to a query."""
        address = query["address"]
        try:
            url, bodies = getattr(self, query["kind"])(address, query["name"])
        except UnreadError as error:
            shown = self.project_url(address, query["name"]) if query["kind"] == "project" else address
            return {"address": shown, "status": error.status, "bodies": [], "problem": str(error)}
        return {"address": url, "status": 200, "bodies": bodies, "problem": None}

    # --- kinds --------------------------------------------------------------------------------------------------

    def project(self, address: str, name: str) -> tuple[str, list[str]]:
        """Read a project's page."""
        return self.cached(self.project_url(address, name), SIMPLE)

    def page(self, address: str, _: str) -> tuple[str, list[str]]:
        """Read a page."""
        return self.cached(address, ANY)

    def metadata(self, address: str, _: str) -> tuple[str, list[str]]:
        """Read a metadata file, once."""
        return self.once(address, lambda: self.require_ok(self.get(address)).body)

    def wheel(self, address: str, _: str) -> tuple[str, list[str]]:
        """Read the metadata from a wheel, once."""
        return self.once(address, lambda: self.metadata_of(address))

    def tags(self, address: str, _: str) -> tuple[str, list[str]]:
        """Read a list of tags to its end."""
        headers: dict[str, str] = {}
        bodies: list[str] = []
        following = address
        while following:
            reply = self.get(following, headers)
            if reply.status == 401 and not headers:
                headers = {"Authorization": f"Bearer {self.token(reply.headers.get('WWW-Authenticate', ''))}"}
                continue
            bodies.append(text(self.require_ok(reply).body))
            link = re.match(r'\s*<([^>]+)>\s*;\s*rel="?next', reply.headers.get("Link", ""))
            following = urljoin(following, link[1]) if link else ""
            if following and (urlsplit(following)[:2] != urlsplit(address)[:2] or len(bodies) >= MOST_PAGES):
                raise UnreadError("the list of tags does not end, or leads to another host")
        return address, bodies

    def conda(self, address: str, name: str) -> tuple[str, list[str]]:
        """Query a channel; py-rattler has a cache of its own."""
        from rattler import Channel, Client, Gateway, MatchSpec, Subdir
        from rattler.exceptions import GatewayError
        from rattler.networking import AuthenticationMiddleware

        async def query() -> list[tuple[str, str]]:
            client = Client([AuthenticationMiddleware()])
            gateway = Gateway(cache_dir=self.cache / "conda", client=client)
            asked = gateway.query(
                [Channel(address)], [Subdir("linux-64")], [MatchSpec(name)], recursive=False
            )
            groups = await asyncio.wait_for(asked, self.timeout * 3)
            return sorted({(str(record.version), str(record.build)) for group in groups for record in group})

        try:
            return address, [json.dumps(asyncio.run(query()))]
        except TimeoutError:
            raise UnreadError("timed out") from None
        except GatewayError as error:
            lines = str(error).splitlines()  # each "Caused by" the next
            raise UnreadError(f"{lines[0]}: {lines[-1].removeprefix('Caused by: ')}") from None

    # --- reading ------------------------------------------------------------------------------------------------

    def project_url(self, index: str, name: str) -> str:
        """Return the address of a project's page."""
        return f"{(index or default_index()).rstrip('/')}/{name}/"

    def cached(self, url: str, accept: str) -> tuple[str, list[str]]:
        """Read a page, from the cache if it has not changed."""
        entry = self.cache / hashlib.sha256(f"{accept} {url}".encode()).hexdigest()
        old = load(entry)
        headers = {"Accept": accept} | (old.headers if old else {})
        reply = self.get(url, headers)
        if old and reply.status == http.HTTPStatus.NOT_MODIFIED:
            os.utime(entry)
            return old.url, [text(old.body)]
        self.require_ok(reply)
        pairs = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
        validators = {ours: reply.headers[theirs] for ours, theirs in pairs if theirs in reply.headers}
        if validators:
            save(entry, reply.url, validators, reply.body)
        return reply.url, [text(reply.body)]

    def once(self, url: str, read: Any) -> tuple[str, list[str]]:
        """Read a page that never changes, from the cache if it is there."""
        entry = self.cache / hashlib.sha256(f"once {url}".encode()).hexdigest()
        old = load(entry)
        if old:
            os.utime(entry)
            return url, [text(old.body)]
        body = read()
        save(entry, url, {}, body)
        return url, [text(body)]

    def require_ok(self, reply: Reply) -> Reply:
        """Refuse a response with another status than 200."""
        if reply.status != http.HTTPStatus.OK:
            raise UnreadError(f"HTTP {reply.status}", reply.status)
        return reply

    def token(self, challenge: str) -> str:
        """Get the token that a registry demands of anonymous readers."""
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = fields.pop("realm", "")
        if not challenge.lower().startswith("bearer ") or not realm:
            raise UnreadError("HTTP 401", 401)
        body = self.require_ok(self.get(f"{realm}?{urlencode(fields)}")).body
        try:
            answer = json.loads(body)
            return str(answer.get("token") or answer["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise UnreadError("the registry gave no token to anonymous readers") from None

    def metadata_of(self, url: str) -> bytes:
        """Read the metadata of a wheel, and little more of it."""
        try:
            with zipfile.ZipFile(io.BufferedReader(Remote(self, url), BLOCK)) as wheel:
                names = [
                    name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
                ]
                return wheel.read(names[0])
        except (zipfile.BadZipFile, IndexError, KeyError, NotImplementedError) as error:
            raise UnreadError(f"not a wheel: {error}") from None

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Request a page; a response of any status is returned."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise UnreadError("neither http nor https")
        request = urllib.request.Request(url)  # noqa: S310 - checked above, and redirections by urllib
        for name, value in {"User-Agent": "cslr-images", **(headers or {})}.items():
            # A token is for the registry that demanded it, not for servers to which it redirects.
            add = request.add_unredirected_header if name == "Authorization" else request.add_header
            add(name, value)
        try:
            with open_within(request, 3 * self.timeout) as reply:
                parts, size = [], 0
                while size <= LARGEST and (part := reply.read(BLOCK)):
                    parts.append(part)
                    size += len(part)
                if size > LARGEST:
                    raise UnreadError(f"larger than {LARGEST // 10**6} MB")
                return Reply(reply.url, reply.status, reply.headers, b"".join(parts))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.url, error.code, error.headers, b"")
        except TimeoutError:
            raise UnreadError("timed out") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            timed_out = isinstance(reason, TimeoutError)
            raise UnreadError("timed out" if timed_out else str(reason) or type(error).__name__) from None


class Remote(io.RawIOBase):
    """A file on a server, read by ranges."""

    def __init__(self, reader: Reader, url: str) -> None:
        self.reader = reader
        self.url = url
        self.at = 0
        self.size = 1
        first = self.range(0, 0)
        total = re.fullmatch(r"bytes 0-0/([0-9]+)", first.headers.get("Content-Range", ""))
        if not total:
            raise UnreadError("the server sends no size")
        self.size = int(total[1])

    def range(self, first: int, last: int) -> Reply:
        """Request bytes, including the last."""
        reply = self.reader.get(self.url, {"Range": f"bytes={first}-{last}"})
        if reply.status != http.HTTPStatus.PARTIAL_CONTENT:
            status = reply.status
            ignored = status == http.HTTPStatus.OK  # the whole file
            problem = "neither metadata nor parts of files" if ignored else f"HTTP {status}"
            raise UnreadError(problem, None if ignored else status)
        return reply

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence] + offset
        return self.at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.size - self.at)
        if count <= 0:
            return 0
        body = self.range(self.at, self.at + count - 1).body[:count]
        buffer[: len(body)] = body
        self.at += len(body)
        return len(body)


def default_index() -> str:
    """Return the index that pip uses by default."""
    from pip._internal.models.index import PyPI

    return os.environ.get("PIP_INDEX_URL") or PyPI.simple_url


def text(body: bytes) -> str:
    """Decode UTF-8; broken bytes are replaced."""
    return body.decode("utf-8", "replace")


@dataclass
class Entry:
    """A cached page, and the headers that request it conditionally."""

    url: str
    headers: dict[str, str]
    body: bytes


def load(path: Path) -> Entry | None:
    """Read a cached page; return None for one that is missing or damaged."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        facts = json.loads(head)
        whole = facts["size"] == len(body)
        return Entry(str(facts["url"]), dict(facts["headers"]), body) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Cache a page; other readers see the old or the new one, never half of it."""
    head = json.dumps({"url": url, "headers": headers, "size": len(body)}).encode()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="new-", delete=False) as file:
        file.write(head + b"\n" + body)
    Path(file.name).replace(path)


def tidy(cache: Path) -> None:
    """Delete pages without a query in a long time."""
    for path in cache.iterdir():
        if path.is_file() and time.time() - path.stat().st_mtime > UNUSED:
            path.unlink(missing_ok=True)


def main() -> None:
    """Respond to all queries."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("asks", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=20.0)
    options = parser.parse_args()
    queries = json.loads(options.asks.read_text("utf-8"))
    options.cache.mkdir(parents=True, exist_ok=True)
    reader = Reader(options.cache, options.timeout)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        responses = list(pool.map(reader.respond, queries))
    options.answers.write_text(json.dumps(responses), "utf-8")
    tidy(options.cache)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(
        0
    )  # after http channels, rattler's threads sometimes crash an interpreter that ends in the usual way
