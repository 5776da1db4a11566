"""Read the cores, memory and free disk of the engine's machine, from inside a container."""

import dagger

from ci.plan.caches import Cache
from ci.stages.cache_volumes import with_cache
from ci.util.model import FrozenModel

# The cache volume is on the same disk as everything else of the engine.
SCRIPT = f"""
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


async def read_machine(container: dagger.Container, cache_buster: str) -> Machine:
    """Read the machine now; a `cache_buster` used before returns the cached result of that time."""
    step = with_cache(container, Cache.RECORDS).with_env_variable("MARK", cache_buster)
    return parse_machine(await step.with_exec(["sh", "-c", SCRIPT]).stdout())


def parse_machine(printed: str) -> Machine:
    """Parse the output of the script: cores, kB of memory, bytes of free disk."""
    cores, memory, free = printed.split()
    return Machine(cores=int(cores), memory=int(memory) * 1024, free_disk=int(free))
