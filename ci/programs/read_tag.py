"""Resolve a tag to a digest: read_tag.py HOST/NAME:TAG [--at ADDRESS] [--out FILE] [--timeout SECONDS]

Print the digest of the tag's manifest or index, or write it to FILE: the one that the registry sends in a header, or
else the SHA-256 of the manifest. ADDRESS (`http://registry:5000`) is used to reach the registry instead of HOST.

User and password are the variables REGISTRY_USER and REGISTRY_PASSWORD. They are sent to the registry and to the token
server that it names, if these demand them: over https, or over http to this machine and to ADDRESS. They are not sent
to the target of a redirection. No message repeats a server's text, which could contain the password.

The module imports this file too, so it imports nothing from `common`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import ipaddress
import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
HUB = "registry-1.docker.io"  # the server of docker.io
HUBS = ("docker.io", "index.docker.io", HUB)
REFERENCE = re.compile(
    r"((?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]+)?)/([a-z0-9._/-]+):([A-Za-z0-9_.-]{1,128})"
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# One challenge of WWW-Authenticate: its scheme and its fields.
CHALLENGE = re.compile(r'(\w+) +((?:\w+ *= *(?:"[^"]*"|[^\s",]+)[ ,]*)+)')
FIELD = re.compile(r'(\w+) *= *(?:"([^"]*)"|([^\s",]+))')
REDIRECTS = (301, 302, 303, 307, 308)
REFUSED = (401, 403, 429)  # another method would be refused too
MOST_HOPS = 5
LARGEST = 8 << 20  # bytes of a response; registries accept no larger manifests
TIMEOUT = 60.0  # seconds for all requests together


class UnreadError(Exception):
    """A tag that cannot be resolved, and why, in one line."""

    def __init__(self, problem: str) -> None:
        folded = " ".join(problem.split())[:300]
        super().__init__("".join(char if char.isprintable() else "?" for char in folded))


@dataclass(frozen=True)
class Reply:
    """A response; `url` is the address after redirections."""

    url: str
    status: int
    headers: Message
    body: bytes


class _Stay(urllib.request.HTTPRedirectHandler):
    """Leave redirections to the caller."""

    def redirect_request(self, *_: object) -> None:
        return None


class Registry:
    """A registry, by the host of its references; `login` is user and password, `at` another address to reach it."""

    def __init__(self, host: str, login: tuple[str, str] | None = None, at: str = "") -> None:
        scheme = "http" if is_loopback(host) else "https"
        self.host = host
        self.base = at.rstrip("/") or f"{scheme}://{HUB if host in HUBS else host}"
        self.at = at
        self.login = login
        self.authorization = ""

    def digest(self, name: str, tag: str) -> str:
        """Return the digest of a tag's manifest or index."""
        url = f"{self.base}/v2/{name}/manifests/{tag}"
        for method in ("HEAD", "GET"):
            reply = self.ask(method, url, f"repository:{name}:pull")
            if reply.status == http.HTTPStatus.OK and (found := digest_of(reply, method)):
                return found
            if reply.status in REFUSED:
                break
        if reply.status == http.HTTPStatus.NOT_FOUND:
            raise UnreadError("the registry has no such tag: manifest unknown")
        raise UnreadError(f"HTTP error {reply.status}")

    def ask(self, method: str, url: str, scope: str) -> Reply:
        """Send a request to the registry, with the login if it demands one."""
        reply = self.follow(method, url, self.authorization)
        # A server to which the registry redirects could demand the login too.
        if reply.status == http.HTTPStatus.UNAUTHORIZED and not self.authorization and same(reply.url, url):
            self.authorization = self.answer(reply.headers.get_all("WWW-Authenticate") or (), scope)
            reply = self.follow(method, url, self.authorization)
        return reply

    def answer(self, asked: Sequence[str], scope: str) -> str:
        """Return the Authorization header for a registry's challenges."""
        schemes = {scheme.lower(): fields for text in asked for scheme, fields in challenges(text)}
        if "bearer" in schemes:
            return f"Bearer {self.token(schemes['bearer'], scope)}"
        if "basic" in schemes and self.login:
            return basic(*self.login)
        raise UnreadError("HTTP error 401: the registry wants a user and a password")

    def token(self, fields: dict[str, str], scope: str) -> str:
        """Get a token from the server that the registry names."""
        asked = {"scope": scope, **fields}
        realm = asked.pop("realm", "")
        query = urlencode([(key, value) for key, value in asked.items() if key in ("service", "scope")])
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        reply = self.follow("GET", self.place(url), basic(*self.login) if self.login else "")
        if reply.status != http.HTTPStatus.OK:
            raise UnreadError(f"HTTP error {reply.status} instead of a token")
        try:
            found = json.loads(reply.body)
            return str(found.get("token") or found["access_token"])
        except (ValueError, KeyError, AttributeError, RecursionError):
            raise UnreadError("the registry's server of tokens gives none") from None

    def follow(self, method: str, url: str, authorization: str) -> Reply:
        """Send a request, and follow redirections; only the first server gets the authorization."""
        first = url
        for _ in range(MOST_HOPS):
            self.check(url)
            headers = {"Accept": ACCEPT, "User-Agent": "cslr-images"}
            if authorization and same(url, first):
                headers["Authorization"] = authorization
            reply = fetch(method, url, headers)
            if reply.status not in REDIRECTS:
                return reply
            url = self.place(join(url, reply.headers.get("Location", "")))
        raise UnreadError("the registry leads from one place to the next without end")

    def place(self, url: str) -> str:
        """Return an address as it is reached from here; the registry uses the host of its references for itself."""
        own = re.match(rf"https?://{re.escape(self.host)}(?=[/?#]|$)", url) if self.at else None
        return f"{self.base}{url[own.end() :]}" if own else url

    def check(self, url: str) -> None:
        """Refuse an address to which requests are not encrypted."""
        scheme, host = origin(url)
        if scheme == "https" or (
            scheme == "http" and (is_loopback(host) or (self.at and same(url, self.base)))
        ):
            return
        raise UnreadError("the registry leads to an address without https")


def digest_of(reply: Reply, method: str) -> str:
    """Return the digest of a successful response, empty if it has none."""
    digest = reply.headers.get("Docker-Content-Digest")
    if digest is None and method == "HEAD":
        return ""
    if digest is None:
        if not reply.body:
            raise UnreadError("the registry's answer is empty")
        return f"sha256:{hashlib.sha256(reply.body).hexdigest()}"
    if not DIGEST.fullmatch(digest.strip()):
        raise UnreadError("the registry sends a digest that is none")
    return digest.strip()


def challenges(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the challenges of a WWW-Authenticate header: scheme and fields."""
    for scheme, fields in CHALLENGE.findall(text[:4096]):
        yield scheme, {key.lower(): quoted or plain for key, quoted, plain in FIELD.findall(fields)}


def basic(user: str, password: str) -> str:
    """Return the Authorization header of a login."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def origin(url: str) -> tuple[str, str]:
    """Return the scheme and the host of an address."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.netloc.lower()
    except ValueError:
        raise UnreadError("the registry leads to no address") from None


def same(url: str, other: str) -> bool:
    """Return whether two addresses are of one server."""
    return origin(url) == origin(other)


def join(url: str, location: str) -> str:
    """Return the address of a redirection."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnreadError("the registry leads to no address") from None


def fetch(method: str, url: str, headers: dict[str, str]) -> Reply:
    """Send a request to one server; a response of any status is returned."""
    # Servers of plain http are local: no proxy knows them.
    near = [urllib.request.ProxyHandler({})] if url.startswith("http:") else []
    try:
        request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - checked by the caller
        with urllib.request.build_opener(*near, _Stay).open(request) as reply:
            return Reply(url, reply.status, reply.headers, whole(reply))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(url, error.code, error.headers, b"")
    except OSError as error:
        raise UnreadError(str(getattr(error, "reason", error)) or type(error).__name__) from None
    except (http.client.HTTPException, ValueError):
        raise UnreadError("the registry's answer is no HTTP") from None


def whole(reply: http.client.HTTPResponse) -> bytes:
    """Read a response to its end."""
    body = reply.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise UnreadError("the registry's answer is too large for a manifest")
    if reply.length:
        raise UnreadError("connection closed before message completed")
    return body


def limit(seconds: float) -> None:
    """Raise UnreadError after a time in seconds, whatever the program waits for; 0 cancels that."""

    def ring(*_: object) -> None:
        raise UnreadError(f"request timed out after {seconds:g} seconds")

    signal.signal(signal.SIGALRM, ring)
    # Repeatedly: an exception that is raised in a destructor is lost.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference")
    parser.add_argument("--at", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    return parser.parse_args(argv)


def split(reference: str) -> tuple[str, str, str]:
    """Return the host, the name and the tag of a reference."""
    found = REFERENCE.fullmatch(reference)
    if not found:
        raise UnreadError("that is no reference; accepted: HOST/NAME:TAG")
    host, name, tag = found.groups()
    # Docker Hub's own images have names of one word.
    return host, f"library/{name}" if host in HUBS and "/" not in name else name, tag


def main(argv: Sequence[str] | None = None) -> int:
    """Print a tag's digest, or in one line why there is none; return the exit status."""
    options = parse(argv)
    user, password = (os.environ.get(name, "") for name in ("REGISTRY_USER", "REGISTRY_PASSWORD"))
    try:
        host, name, tag = split(options.reference)
        registry = Registry(host, (user, password) if password else None, options.at)
        limit(options.timeout)
        digest = registry.digest(name, tag)
        limit(0)
    except UnreadError as error:
        print(f"read_tag.py: {error}", file=sys.stderr)
        return 1
    if options.out:
        options.out.write_text(digest, "utf-8")
    else:
        print(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
