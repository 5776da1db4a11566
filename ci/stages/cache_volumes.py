"""Make cache volumes; nothing else in the module makes one."""

from functools import cache as remembered

import dagger
from dagger import CacheSharingMode, dag

from ci.plan.caches import Cache
from ci.sdk.ids import remember_id


def with_cache(container: dagger.Container, cache: Cache, distribution: str = "") -> dagger.Container:
    """Mount a cache volume; distributions, whose packages differ, have one each."""
    sharing = CacheSharingMode(cache.sharing.upper())
    return container.with_mounted_cache(cache.path, _volume(cache.volume_name(distribution)), sharing=sharing)


def without_cache(container: dagger.Container, cache: Cache) -> dagger.Container:
    """Unmount a cache volume again, so that it does not show in what is built on top."""
    return container.without_mount(cache.path)


@remembered
def _volume(name: str) -> dagger.CacheVolume:
    return remember_id(dag.cache_volume(name))
