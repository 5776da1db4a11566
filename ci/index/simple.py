"""Parse index pages and the file names on them: links, JSON rows, versions and wheel tags."""

import json
import re
from functools import lru_cache
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import unquote, urljoin

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

# No path separators and nothing that a shell interprets; no longer than a file system allows.
_FILE_NAME = re.compile(r"[A-Za-z0-9._+!-]{1,255}")
_IN_ADDRESS = r"[A-Za-z0-9._~%!+,=:@/-]"  # of the characters of RFC 3986, without those that shells expand
_PLAIN_ADDRESS = re.compile(
    rf"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?(?:/{_IN_ADDRESS}*)?"
    rf"(?:\?(?:{_IN_ADDRESS}|[&?])*)?(?:#(?:{_IN_ADDRESS}|[&?])*)?"
)
# The minor version of glibc 2 that each older name of a manylinux platform means (PEP 600).
_LEGACY_PLATFORMS = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_NEWEST_GLIBC = 99  # minor version: bounds the list of platforms, whatever the sources say


class ListedFile(NamedTuple):
    """A file as an index page lists it; `metadata`: its METADATA is served beside it (PEP 658)."""

    filename: str
    link: str
    requires_python: str = ""
    yanked: bool = False
    metadata: bool = False


class ParsedName(NamedTuple):
    """The parts of a distribution's file name; a source archive has no tags."""

    project: str
    version: Version
    tags: frozenset[Tag] = frozenset()


# -- pages ---------------------------------------------------------------------------------------------------


def parse_page(page: str) -> list[ListedFile]:
    """Parse a project's page, HTML (PEP 503) or JSON (PEP 691).

    Raises:
        ValueError: it is neither. A JSON document of another shape raises LookupError, TypeError or
            AttributeError.
    """
    if page.lstrip()[:1] == "{":
        return [_parse_row(row) for row in json.loads(page)["files"]]
    try:
        return parse_html(page)
    except ValueError:
        raise ValueError("it is neither HTML nor JSON") from None


def parse_html(page: str) -> list[ListedFile]:
    """Parse the links of an HTML page: a project's page (PEP 503) or a find-links page.

    Raises:
        ValueError: it is not HTML.
    """
    parser = _AnchorParser()
    try:
        parser.feed(page)
    except AssertionError:  # how html.parser reports a broken declaration
        raise ValueError("it is not HTML") from None
    return [_parse_anchor(anchor) for anchor in parser.anchors]


class _AnchorParser(HTMLParser):
    """Collect the attributes of every `<a>`."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.anchors.append(dict(attrs))


def _parse_anchor(anchor: dict[str, str | None]) -> ListedFile:
    link = anchor.get("href") or ""
    metadata = anchor.get("data-core-metadata") or anchor.get("data-dist-info-metadata") or "false"
    return ListedFile(
        filename=link_filename(link),
        link=link,
        requires_python=anchor.get("data-requires-python") or "",
        yanked="data-yanked" in anchor,
        metadata=metadata != "false",
    )


def _parse_row(row: dict[str, object]) -> ListedFile:
    return ListedFile(
        filename=str(row["filename"]),
        link=str(row["url"]),
        requires_python=str(row.get("requires-python") or ""),
        yanked=row.get("yanked") not in (None, False),  # the reason may be an empty text
        metadata=bool(row.get("core-metadata") or row.get("data-dist-info-metadata")),
    )


# -- links and file names ------------------------------------------------------------------------------------


def resolve_link(base: str, link: str) -> str | None:
    """Return a link of the page at `base` as an absolute address, None if that is no plain http(s) address.

    Addresses go into commands and Dockerfiles, where `$`, quotes and white space mean something else.
    """
    try:
        return require_plain(urljoin(base, link))
    except ValueError:  # no host: `http://[`
        return None


def require_plain(address: str) -> str | None:
    """Return an address, None if it is no plain http(s) address: it may have a query and a fragment, but no login.

    >>> require_plain("https://host:8080/a/x-1%2Bcu128.whl#sha256=00"), require_plain("https://host/$HOME/x.whl")
    ('https://host:8080/a/x-1%2Bcu128.whl#sha256=00', None)
    """
    return address if _PLAIN_ADDRESS.fullmatch(address) else None


def split_fragment(link: str) -> tuple[str, str]:
    """Split a link into its address and its fragment.

    >>> split_fragment("https://host/x.whl#sha256=00")
    ('https://host/x.whl', 'sha256=00')
    """
    address, _, fragment = link.partition("#")
    return address, fragment


def link_filename(link: str) -> str:
    """Return the file name at the end of a link, unquoted.

    >>> link_filename("https://host/a/x-1%2Bcu128-py3-none-any.whl#sha256=00")
    'x-1+cu128-py3-none-any.whl'
    """
    return unquote(split_fragment(link)[0].rpartition("/")[2])


def parse_filename(filename: str) -> ParsedName | None:
    """Parse the file name of a wheel or source archive; None if it is neither, or unsafe."""
    if not _FILE_NAME.fullmatch(filename):
        return None
    try:
        if filename.endswith(".whl"):
            project, version, _, tags = parse_wheel_filename(filename)
            return ParsedName(project, version, tags)
        return ParsedName(*parse_sdist_filename(filename))
    except ValueError:
        return None


# -- tags ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def installable_tags(python: str, glibc: str) -> frozenset[Tag]:
    """Return the tags of wheels that a CPython can install on x86-64 Linux with this glibc.

    A `manylinux_2_Y` wheel runs on glibc 2.Y and on every newer one (PEP 600).
    """
    major, minor = (int(part) for part in python.split("."))
    abi = f"cp{major}{minor}"
    platforms = _linux_platforms(glibc)
    # With no ABI given, packaging uses that of the Python it runs on: free-threaded or not, debug or not.
    return frozenset(cpython_tags((major, minor), abis=(abi,), platforms=platforms)) | frozenset(
        compatible_tags((major, minor), abi, platforms)
    )


def _linux_platforms(glibc: str) -> list[str]:
    release = (*Version(glibc).release, 0)[:2]
    names: list[str] = []
    for minor in range(_NEWEST_GLIBC, 4, -1):  # x86-64 wheels begin with manylinux_2_5
        if (2, minor) <= release:
            names.append(f"manylinux_2_{minor}")
            names += [_LEGACY_PLATFORMS[minor]] if minor in _LEGACY_PLATFORMS else []
    return [f"{name}_x86_64" for name in (*names, "linux")]
