"""Name the caches that builds share, one for each tool; a build comes out right with each of them empty."""

import re
from enum import Enum
from typing import Literal

ROOT = "/var/cache/cslr-images"

Sharing = Literal["locked", "shared"]


class Cache(Enum):
    """The caches by tool: key, where it is mounted, and how builds that run at once share it."""

    # apt and dpkg lock their folders and fail when two runs meet, so these wait for each other.
    APT_ARCHIVES = ("apt-archives", "/var/cache/apt", "locked")
    APT_LISTS = ("apt-lists", "/var/lib/apt/lists", "locked")
    CONDA = ("conda", f"{ROOT}/conda", "shared")
    UV = ("uv", f"{ROOT}/uv", "shared")
    PIP = ("pip", f"{ROOT}/pip", "shared")  # of what goes into bundles
    CCACHE = ("ccache", f"{ROOT}/ccache", "shared")
    BAZEL = ("bazel", f"{ROOT}/bazel", "locked")
    # Pages of indexes by address, each written whole; a page that is kept counts only when its server says so.
    PAGES = ("pages", f"{ROOT}/pages", "shared")
    # The records of builds; writers take a lock of their own.
    RECORDS = ("records", f"{ROOT}/records", "shared")

    def __init__(self, key: str, path: str, sharing: Sharing) -> None:
        self.key = key
        self.path = path
        self.sharing = sharing

    def volume_name(self, distribution: str = "") -> str:
        """Name the cache; distributions, whose packages differ, have one each."""
        return "-".join(part for part in ("cslr-images", self.key, distribution) if part)


def name_distribution(image: str) -> str:
    """Name the distribution of a base image: `debian-bookworm-slim`; without the build arguments in its name."""
    name = re.sub(r"\$\{\w+\}-?", "", image.rsplit("/", 1)[-1])
    return "".join(char if char.isalnum() or char in ".-" else "-" for char in name)
