"""How much a machine can do at once: cells by its memory, cores and disk."""

from ci.session.machine import Machine
from ci.util.units import GB

# Measured on real cells (BENCHMARKS.md): what one leaves in the engine's state, and what a compile takes.
CELL_GB = 28
JOBS_OF_A_CELL = 2
MOST = 8


def cells_at_once(machine: Machine, job_gb: float, disk_floor: int) -> int:
    """Return how many cells a sweep builds at once where the caller does not say.

    Two cores a cell, the memory of two compile jobs (`job_gb` each, in GB), and room on the disk for each.

    >>> cells_at_once(Machine(cores=2, memory=24 * GB, free_disk=60 * GB), 3.5, 30 * GB)
    1
    """
    by_memory = int(machine.memory / GB / (job_gb * JOBS_OF_A_CELL))
    by_disk = int((machine.free_disk - disk_floor) / GB / CELL_GB)
    return max(1, min(machine.cores // 2, by_memory, by_disk, MOST))
