"""Reads pages of wheel links: which wheel fits a cell. Pure; who fetches a page is decided elsewhere."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

from packaging.tags import Tag, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from ci.util.model import FrozenModel

# A wheel for any of these runs on the bases; the newest glibc that a base has is checked by the environment.
PLATFORMS = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "linux_x86_64",
)


class Page(FrozenModel):
    """An index page as it was read: its links, or why it could not be read."""

    address: str
    links: tuple[str, ...] = ()
    problem: str | None = None


class Wheel(FrozenModel):
    """A wheel that an index offers."""

    name: str
    version: str
    filename: str
    address: str
    sha256: str | None = None


Pages = Mapping[str, Page]

# What a wheel's file may be called: no separators of paths, nothing that a shell reads, no longer than a file name is.
_WHEEL = re.compile(r"[A-Za-z0-9._+!-]{1,251}\.whl")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def read_page(address: str, html: str) -> Page:
    """Collect the links of a page as absolute addresses (PEP 503 simple pages and find-links pages)."""
    parser = _Links()
    try:
        parser.feed(html)
    except AssertionError:  # how html.parser says that a declaration is broken
        return Page(address=address, problem="it is not HTML")
    links = [_absolute(address, link) for link in parser.found]
    return Page(address=address, links=tuple(link for link in links if link))


def find_wheel(page: Page, name: str, version: str, local: str, python: str) -> Wheel | None:
    """Find the wheel of `name` at `version` with the local version label `local` for a Python.

    `local` is how PyG names torch and CUDA: `pt211cu130`. A wheel for the stable ABI (`abi3`) fits newer Pythons too.
    """
    accepted = _tags(python)
    wanted = Version(f"{version}+{local}")
    for link, filename, found_version, tags in _wheels(page, name):
        if found_version == wanted and tags & accepted:
            address, fragment = urldefrag(link)
            sha256 = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
            return Wheel(
                name=name,
                version=version,
                filename=filename,
                address=address,
                sha256=sha256[1] if sha256 else None,
            )
    return None


def wheel_versions(page: Page, name: str, local: str) -> tuple[Version, ...]:
    """List the versions of a package that a page has wheels of with a local version label, without pre-releases."""
    found = {version for _, _, version, _ in _wheels(page, name) if version.local == local}
    return tuple(sorted(Version(one.public) for one in found if not (one.is_prerelease or one.epoch)))


def _wheels(page: Page, name: str) -> Iterator[tuple[str, str, Version, frozenset[Tag]]]:
    for link in page.links:
        filename = unquote(urldefrag(link)[0].rsplit("/", 1)[-1])
        if not _WHEEL.fullmatch(filename):
            continue
        try:
            found, version, _, tags = parse_wheel_filename(filename)
        except ValueError:
            continue
        if found == canonicalize_name(name):
            yield link, filename, version, tags


def load_pages(text: str) -> dict[str, Page]:
    """Read a record of pages as `record` wrote it."""
    return {address: Page(address=address, links=tuple(links)) for address, links in json.loads(text).items()}


def dump_pages(pages: Iterable[Page], taken: Collection[str]) -> str:
    """Write down which of the wheels at some addresses the pages have, so that later plans come out the same."""
    links = {page.address: [link for link in page.links if urldefrag(link)[0] in taken] for page in pages}
    return json.dumps(links, indent=2, sort_keys=True) + "\n"


def _absolute(base: str, link: str) -> str | None:
    try:
        return urljoin(base, link)
    except ValueError:  # a link to no host: `http://[`
        return None


def _tags(python: str) -> frozenset[Tag]:
    major, minor = (int(part) for part in python.split("."))
    # With no ABI given, packaging takes that of the Python that it runs on: free-threaded or not, debug or not.
    return frozenset(cpython_tags((major, minor), abis=(f"cp{major}{minor}",), platforms=PLATFORMS))
