"""What the engine's machine has: asked from inside a container, for the module itself sees no machine."""

import dagger

from ci.plan.caches import Cache
from ci.stages.cache_volumes import with_cache
from ci.util.model import FrozenModel

# The cache volume lies on the disk that the engine keeps everything on.
LOOK = f"""
set -eu
nproc
sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
df --block-size=1 --output=avail {Cache.RECORDS.path} | tail -n 1
"""


class Machine(FrozenModel):
    """The machine that the engine runs on: cores, and memory and disk in bytes."""

    cores: int
    memory: int
    free_disk: int


async def read_machine(ground: dagger.Container, cache_buster: str) -> Machine:
    """Look at the machine now, from inside a container; a `mark` that was used before gets the answer of that time."""
    container = with_cache(ground, Cache.RECORDS)
    return parse_machine(
        await container.with_env_variable("MARK", cache_buster).with_exec(["sh", "-c", LOOK]).stdout()
    )


def parse_machine(printed: str) -> Machine:
    """Return what a look printed."""
    cores, memory, free = printed.split()
    return Machine(cores=int(cores), memory=int(memory) * 1024, free_disk=int(free))
