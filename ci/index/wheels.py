"""Read find-links pages, and find the wheel on one that fits an environment."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.utils import canonicalize_name
from packaging.version import Version

from ci.index.simple import (
    ParsedName,
    installable_tags,
    link_filename,
    parse_filename,
    parse_html,
    require_plain,
    resolve_link,
    split_fragment,
)
from ci.util.errors import UserError, quote_value
from ci.util.json_text import parse_json
from ci.util.model import FrozenModel


@dataclass(frozen=True, kw_only=True)
class Page:
    """A find-links page: its links as absolute addresses, or why it could not be read.

    `not_found`: the server answered that there is no such page.
    """

    address: str
    links: tuple[str, ...] = ()
    problem: str | None = None
    not_found: bool = False

    @cached_property
    def wheels(self) -> tuple[tuple[str, ParsedName], ...]:
        """Return the links to wheels, each with its parsed file name."""
        parsed = ((link, parse_filename(link_filename(link))) for link in self.links)
        return tuple((link, name) for link, name in parsed if name and name.tags)


class Wheel(FrozenModel):
    """A wheel that an index offers."""

    name: str
    version: str
    filename: str
    address: str
    sha256: str | None = None


Pages = Mapping[str, Page]


def read_page(address: str, html: str) -> Page:
    """Read the links of a page (a find-links page, or a project's page in HTML)."""
    try:
        files = parse_html(html)
    except ValueError as error:
        return Page(address=address, problem=str(error))
    links = [resolve_link(address, file.link) for file in files if file.link]
    return Page(address=address, links=tuple(link for link in links if link))


def find_wheel(page: Page, name: str, version: str, local: str, python: str, glibc: str) -> Wheel | None:
    """Find the first wheel of `name` at `version` that a Python can install with this glibc.

    `local` is the local version label that the wheel must have: `pt211cu130`. A wheel for the stable ABI (`abi3`)
    fits newer Pythons too.
    """
    installable = installable_tags(python, glibc)
    wanted = canonicalize_name(name), Version(f"{version}+{local}")
    for link, parsed in page.wheels:
        if (parsed.project, parsed.version) == wanted and not parsed.tags.isdisjoint(installable):
            address, fragment = split_fragment(link)
            sha256 = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
            return Wheel(
                name=name,
                version=version,
                filename=link_filename(link),
                address=address,
                sha256=sha256[1] if sha256 else None,
            )
    return None


def wheel_versions(page: Page, name: str, local: str) -> tuple[Version, ...]:
    """List the versions of a package's wheels with a local label, without pre-releases."""
    project = canonicalize_name(name)
    labelled = (
        parsed.version
        for _, parsed in page.wheels
        if parsed.project == project and parsed.version.local == local
    )
    public = {version.public for version in labelled if not (version.is_prerelease or version.epoch)}
    return tuple(sorted(map(Version, public)))


def load_pages(text: str, name: str = "pages.json") -> dict[str, Page]:
    """Load the pages that `dump_pages` wrote, by address; `name` is the file's, for the message.

    Raises:
        UserError: the text is not such a document.
    """
    found = parse_json(text, name)
    for address, links in found.items():
        if not isinstance(links, list) or not all(
            isinstance(link, str) and require_plain(link) for link in links
        ):
            raise UserError(f"{name}: key {quote_value(address)}: not a list of http(s) addresses")
    return {address: Page(address=address, links=tuple(links)) for address, links in found.items()}


def dump_pages(pages: Iterable[Page], addresses: Collection[str]) -> str:
    """Write pages as JSON with the links to some addresses only.

    With these pages later plans come out the same.
    """
    links = {
        page.address: [link for link in page.links if split_fragment(link)[0] in addresses] for page in pages
    }
    return json.dumps(links, indent=2, sort_keys=True) + "\n"
