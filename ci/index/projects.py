"""Read a project's page on a package index, and the requirements in a wheel's metadata."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from ci.index.simple import installable_tags, parse_filename, parse_page, resolve_link, split_fragment

# Environment markers are evaluated for the machines that images run on, not for this one.
_MARKERS = {
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
_MAX_VERSION = 40  # characters, as the fields of matrix.toml allow
_CUDA_RUNTIME = re.compile(r"cuda-toolkit|nvidia-cuda-runtime(-cu[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class File:
    """A wheel or source archive of a project.

    `metadata`: the index serves the wheel's METADATA beside it (PEP 658).
    """

    filename: str
    address: str
    version: Version
    tags: frozenset[Tag] = frozenset()
    requires_python: str = ""
    yanked: bool = False
    metadata: bool = False

    @property
    def is_wheel(self) -> bool:
        """Return whether the file is a wheel, not a source archive."""
        return self.filename.endswith(".whl")

    def fits(self, python: str, glibc: str) -> bool:
        """Return whether a Python can install the file on Linux with this glibc.

        A source archive fits every Python that its `Requires-Python` allows.
        """
        return python_allowed(self.requires_python, python) and (
            not self.is_wheel or not installable_tags(python, glibc).isdisjoint(self.tags)
        )


@dataclass(frozen=True)
class Project:
    """The files of a project by version, or why they could not be read.

    `not_found`: the index answered that it has no such project.
    """

    name: str
    files: Mapping[Version, tuple[File, ...]] = field(default_factory=dict)
    problem: str | None = None
    not_found: bool = False

    def versions(self, local: str | None = None) -> tuple[Version, ...]:
        """List the versions with a local label (by default those without one), newest first.

        Pre-releases, versions whose files are all yanked, and versions that no matrix can name are left out.
        """
        usable = (
            version
            for version, files in self.files.items()
            if version.local == local
            and not (version.is_prerelease or version.epoch or len(version.public) > _MAX_VERSION)
            and not all(file.yanked for file in files)
        )
        return tuple(sorted(usable, reverse=True))

    def files_for(self, version: str, local: str | None = None) -> tuple[File, ...]:
        """List the files of a version; yanked ones only if all are, as pins install them (PEP 592)."""
        files = self.files.get(Version(f"{version}+{local}" if local else version), ())
        return tuple(file for file in files if not file.yanked) or files


@dataclass(frozen=True)
class WheelMetadata:
    """The requirements in a wheel's METADATA."""

    requirements: tuple[Requirement, ...] = ()

    def requirements_on(self, name: str, python: str) -> tuple[Requirement, ...]:
        """List the requirements on a package that apply to a Python."""
        return tuple(
            requirement
            for requirement in self.requirements
            if canonicalize_name(requirement.name) == name and _applies(requirement, python)
        )

    @cached_property
    def cuda(self) -> str | None:
        """Return the CUDA version that torch is built for, from its pin of the CUDA runtime: `12.8`.

        None if the metadata has no such pin.
        """
        for requirement in self.requirements:
            pin = re.search(r"==([0-9]+\.[0-9]+)\b", str(requirement.specifier))
            is_runtime = _CUDA_RUNTIME.fullmatch(canonicalize_name(requirement.name))
            if pin and is_runtime and _applies(requirement, "3.13"):
                return pin[1]
        return None


def read_project(name: str, address: str, page: str) -> Project:
    """Read a project's page, HTML (PEP 503) or JSON (PEP 691), without other projects' files.

    Raises:
        ValueError: it is neither, or lists no file of the project. A JSON document of another shape raises
            LookupError, TypeError or AttributeError.
    """
    project = canonicalize_name(name)
    files: dict[Version, list[File]] = {}
    for listed in parse_page(page):
        parsed, link = parse_filename(listed.filename), resolve_link(address, listed.link)
        if parsed is None or parsed.project != project or link is None:
            continue
        file = File(
            filename=listed.filename,
            address=split_fragment(link)[0],
            version=parsed.version,
            tags=parsed.tags,
            requires_python=listed.requires_python,
            yanked=listed.yanked,
            metadata=listed.metadata,
        )
        files.setdefault(file.version, []).append(file)
    if not files:  # not an index page: the login form of a proxy, for example
        raise ValueError(f"it lists no file of {name}")
    return Project(name, MappingProxyType({version: tuple(listed) for version, listed in files.items()}))


def read_metadata(text: str) -> WheelMetadata:
    """Read the requirements of core metadata (a wheel's METADATA), skipping malformed ones."""
    requirements: list[Requirement] = []
    for line in parse_email(text)[0].get("requires_dist", []):
        try:
            requirements.append(Requirement(line))
        except InvalidRequirement:
            continue
    return WheelMetadata(tuple(requirements))


@lru_cache(maxsize=1024)
def python_allowed(requires_python: str, python: str) -> bool:
    """Return whether `Requires-Python` allows the newest patch of a Python minor version.

    >>> python_allowed(">=3.10", "3.13"), python_allowed("<3.13", "3.13"), python_allowed(">=3.13.1", "3.13")
    (True, False, True)
    """
    try:
        return SpecifierSet(requires_python).contains(f"{python}.99")
    except InvalidSpecifier:
        return True  # pip, too, ignores a malformed one


def _applies(requirement: Requirement, python: str) -> bool:
    markers = {
        **_MARKERS,
        "python_version": python,
        "python_full_version": f"{python}.99",
        "implementation_version": python,
    }
    return requirement.marker is None or requirement.marker.evaluate(markers)
