"""The one maker of cache volumes; a build is right with each of them empty."""

from enum import Enum

import dagger
from dagger import CacheSharingMode, dag

ROOT = "/var/cache/cslr-images"


class Cache(Enum):
    """The caches by tool: volume key, where it is mounted, and how concurrent builds share it."""

    # apt and dpkg lock their folders and fail when two runs meet, so these wait for each other.
    APT_ARCHIVES = ("apt-archives", "/var/cache/apt", CacheSharingMode.LOCKED)
    APT_LISTS = ("apt-lists", "/var/lib/apt/lists", CacheSharingMode.LOCKED)
    CONDA = ("conda", f"{ROOT}/conda", CacheSharingMode.SHARED)
    UV = ("uv", f"{ROOT}/uv", CacheSharingMode.SHARED)
    CCACHE = ("ccache", f"{ROOT}/ccache", CacheSharingMode.SHARED)
    BAZEL = ("bazel", f"{ROOT}/bazel", CacheSharingMode.LOCKED)
    # What happened to cells; who writes to it takes a lock of its own.
    RECORDS = ("records", f"{ROOT}/records", CacheSharingMode.SHARED)

    @property
    def path(self) -> str:
        """Return where the volume is mounted."""
        return self.value[1]


def with_cache(container: dagger.Container, cache: Cache, variant: str = "") -> dagger.Container:
    """Mount a cache volume; `variant` separates what cannot be shared, such as two distributions' packages."""
    key, path, sharing = cache.value
    volume = dag.cache_volume("-".join(part for part in ("cslr-images", key, variant) if part))
    return container.with_mounted_cache(path, volume, sharing=sharing)


def without_cache(container: dagger.Container, cache: Cache) -> dagger.Container:
    """Unmount a cache volume again, so that it does not show in what is built on top."""
    return container.without_mount(cache.path)
