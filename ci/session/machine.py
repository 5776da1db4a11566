"""Read the cores, memory and free disk of the engine's machine, from inside a container."""

import dagger

from ci.plan.caches import Cache
from ci.plan.programs import shell_command
from ci.stages.cache_volumes import with_cache
from ci.stages.programs import with_program
from ci.util.model import FrozenModel

PROGRAM = "read_machine.sh"


class Machine(FrozenModel):
    """The machine that the engine runs on: cores, and memory and disk in bytes."""

    cores: int
    memory: int
    free_disk: int


async def read_machine(container: dagger.Container, cache_buster: str) -> Machine:
    """Read the machine now; a `cache_buster` used before returns the cached result of that time."""
    step = with_program(with_cache(container, Cache.RECORDS), PROGRAM).with_env_variable("MARK", cache_buster)
    # The cache volume is on the same disk as everything else of the engine.
    return parse_machine(await step.with_exec(shell_command(PROGRAM, Cache.RECORDS.path)).stdout())


def parse_machine(printed: str) -> Machine:
    """Parse the output of the program: cores, kB of memory, bytes of free disk."""
    cores, memory, free = printed.split()
    return Machine(cores=int(cores), memory=int(memory) * 1024, free_disk=int(free))
