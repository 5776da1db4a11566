"""Reads pages of wheel links: which wheel fits a cell. Pure; who fetches a page is decided elsewhere."""

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

from packaging.tags import Tag, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from ci.documents import Document

# A wheel for any of these runs on the bases; the newest glibc that a base has is checked by the environment.
PLATFORMS = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "linux_x86_64",
)


class Page(Document):
    """An index page as it was read: its links, or why it could not be read."""

    address: str
    links: tuple[str, ...] = ()
    problem: str | None = None


class Wheel(Document):
    """A wheel that an index offers."""

    filename: str
    address: str
    sha256: str | None = None


Pages = Mapping[str, Page]


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
    parser.feed(html)
    return Page(address=address, links=tuple(urljoin(address, link) for link in parser.found))


def find_wheel(page: Page, name: str, version: str, local: str, python: str) -> Wheel | None:
    """Find the wheel of `name` at `version` with the local version label `local` for a Python.

    `local` is how PyG names torch and CUDA: `pt211cu130`. A wheel for the stable ABI (`abi3`) fits newer Pythons too.
    """
    accepted = _tags(python)
    wanted = Version(f"{version}+{local}")
    for link in page.links:
        address, fragment = urldefrag(link)
        filename = unquote(address.rsplit("/", 1)[-1])
        try:
            found, found_version, _, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        if found == canonicalize_name(name) and found_version == wanted and tags & accepted:
            sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
            return Wheel(filename=filename, address=address, sha256=sha256)
    return None


def _tags(python: str) -> frozenset[Tag]:
    major, minor = (int(part) for part in python.split("."))
    return frozenset(cpython_tags((major, minor), platforms=PLATFORMS))
