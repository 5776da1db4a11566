"""Reads a project's page on a package index: which versions it has, and for which Pythons. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from html.parser import HTMLParser
from types import MappingProxyType
from urllib.parse import unquote, urldefrag, urljoin

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

# The markers of requirements are read for the machines that images run on, not for the one that reads them.
_MACHINE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "sys_platform": "linux",
    "extra": "",
}
_LONGEST = 40  # characters of a version
_RUNTIME = re.compile(r"cuda-toolkit|nvidia-cuda-runtime(-cu[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a project; `metadata`: the index serves what a wheel says of itself beside it (PEP 658)."""

    filename: str
    address: str
    version: Version
    requires_python: str = ""
    yanked: bool = False
    metadata: bool = False

    @property
    def is_wheel(self) -> bool:
        """Tell a wheel from a source archive."""
        return self.filename.endswith(".whl")

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """Return what a wheel is for."""
        return parse_wheel_filename(self.filename)[3]

    def fits(self, python: str, glibc: str) -> bool:
        """Tell whether the file can be installed for a Python on Linux; a source archive can, but for its Python."""
        return python_allowed(self.requires_python, python) and (
            not self.is_wheel or not installable_tags(python, glibc).isdisjoint(self.tags)
        )


@dataclass(frozen=True)
class Project:
    """The files of a project by version, or why they are not known; `absent`: the index has no such project."""

    name: str
    files: Mapping[Version, tuple[File, ...]] = field(default_factory=dict)
    problem: str | None = None
    absent: bool = False

    def versions(self, local: str | None = None) -> tuple[Version, ...]:
        """Return the versions with a local label (none by default), the newest first, without pre-releases.

        A version all of whose files are yanked is left out, and one that no matrix can name.
        """
        found = (
            version
            for version, files in self.files.items()
            if version.local == local
            and not (version.is_prerelease or version.epoch or len(version.public) > _LONGEST)
            and not all(one.yanked for one in files)
        )
        return tuple(sorted(found, reverse=True))

    def of(self, version: str, local: str | None = None) -> tuple[File, ...]:
        """Return the files of a version. Yanked ones count only where all are: a pin takes them (PEP 592)."""
        files = self.files.get(Version(f"{version}+{local}" if local else version), ())
        return tuple(file for file in files if not file.yanked) or files


@dataclass(frozen=True)
class WheelMetadata:
    """What a wheel needs, as its metadata says."""

    requirements: tuple[Requirement, ...] = ()

    def on(self, name: str, python: str) -> tuple[Requirement, ...]:
        """Return the requirements on a package that hold for a Python."""
        return tuple(
            one for one in self.requirements if canonicalize_name(one.name) == name and _holds(one, python)
        )

    @cached_property
    def cuda(self) -> str | None:
        """Return the CUDA version that torch is built for, as it pins the CUDA runtime: `12.8`; None if not."""
        for one in self.requirements:
            pinned = re.search(r"==([0-9]+\.[0-9]+)\b", str(one.specifier))
            if pinned and _RUNTIME.fullmatch(canonicalize_name(one.name)) and _holds(one, "3.13"):
                return pinned[1]
        return None


def read_project(name: str, address: str, page: str) -> Project:
    """Read a project's page, HTML (PEP 503) or JSON (PEP 691). Files that are not the project's are left out.

    Raises:
        ValueError: it is neither, or lists no file of the project.
    """
    rows = _json_rows(page) if page.lstrip()[:1] == "{" else _html_rows(page)
    found: dict[Version, list[File]] = {}
    for filename, link, requires_python, yanked, metadata in rows:
        version = _version(filename, canonicalize_name(name))
        if version is None:
            continue
        try:
            where = urldefrag(urljoin(address, link))[0]
        except ValueError:  # a link to no host: `http://[`
            continue
        file = File(
            filename=filename,
            address=where,
            version=version,
            requires_python=requires_python,
            yanked=yanked,
            metadata=metadata,
        )
        found.setdefault(version, []).append(file)
    if not found:  # a page of something else: of a proxy that wants a login, say
        raise ValueError(f"it lists no file of {name}")
    return Project(name, MappingProxyType({version: tuple(files) for version, files in found.items()}))


def read_metadata(text: str) -> WheelMetadata:
    """Read the requirements of core metadata (METADATA of a wheel); lines that are none are left out."""
    found: list[Requirement] = []
    for line in parse_email(text)[0].get("requires_dist", []):
        try:
            found.append(Requirement(line))
        except InvalidRequirement:
            continue
    return WheelMetadata(tuple(found))


@lru_cache(maxsize=1024)
def python_allowed(requires_python: str, python: str) -> bool:
    """Tell whether `Requires-Python` takes a Python of which only the minor version is known: its newest patch.

    >>> takes(">=3.10", "3.13"), takes("<3.13", "3.13"), takes(">=3.13.1", "3.13")
    (True, False, True)
    """
    try:
        return SpecifierSet(requires_python).contains(f"{python}.99")
    except InvalidSpecifier:
        return True  # pip, too, goes on as if nothing was said


@lru_cache(maxsize=64)
def installable_tags(python: str, glibc: str) -> frozenset[Tag]:
    """Return the tags of wheels that can be installed for a Python on x86-64 Linux with a glibc (PEP 425, PEP 600)."""
    major, minor = (int(part) for part in python.split("."))
    abi = f"cp{major}{minor}"
    newest = int(glibc.split(".")[1])
    platforms = [f"manylinux_2_{number}_x86_64" for number in range(newest, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    # With no ABI given, packaging takes that of the Python that it runs on: free-threaded or not, debug or not.
    return frozenset(cpython_tags((major, minor), abis=(abi,), platforms=platforms)) | frozenset(
        compatible_tags((major, minor), abi, platforms)
    )


def _holds(requirement: Requirement, python: str) -> bool:
    where = {**_MACHINE, "python_version": python, "python_full_version": f"{python}.99"}
    return requirement.marker is None or requirement.marker.evaluate(
        {**where, "implementation_version": python}
    )


def _version(filename: str, name: str) -> Version | None:
    try:
        parsed = (
            parse_wheel_filename(filename) if filename.endswith(".whl") else parse_sdist_filename(filename)
        )
    except (ValueError, InvalidVersion):
        return None
    return parsed[1] if parsed[0] == name else None


Row = tuple[str, str, str, bool, bool]  # file, link, Requires-Python, yanked, metadata beside it


def _json_rows(page: str) -> Iterator[Row]:
    for file in json.loads(page)["files"]:
        metadata = file.get("core-metadata") or file.get("data-dist-info-metadata")
        yield (
            str(file["filename"]),
            str(file["url"]),
            str(file.get("requires-python") or ""),
            file.get("yanked") not in (None, False),  # the reason may be an empty text
            bool(metadata),
        )


def _html_rows(page: str) -> Iterator[Row]:
    parser = _Anchors()
    try:
        parser.feed(page)
    except AssertionError:  # how html.parser says that a declaration is broken
        raise ValueError("it is neither HTML nor JSON") from None
    for link in parser.found:
        href = link.get("href") or ""
        metadata = link.get("data-core-metadata") or link.get("data-dist-info-metadata") or "false"
        yield (
            unquote(urldefrag(href)[0].rsplit("/", 1)[-1]),
            href,
            link.get("data-requires-python") or "",
            "data-yanked" in link,
            metadata != "false",
        )


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))
