"""Decide how many cells a sweep builds at once, by the machine's cores, memory and disk."""

from ci.plan.stage import Stage
from ci.plan.stages.ray import RaySpec
from ci.plan.stages.wheels import WheelsSpec
from ci.session.machine import Machine
from ci.util.units import GB

# Measured with real cells (BENCHMARKS.md).
CELL_DISK = 28 * GB  # that one cell leaves in the engine's state
CELL_CORES = 2
CELL_JOBS = 2  # compile jobs of a cell whose memory is counted
MOST_CELLS = 8


def cells_at_once(machine: Machine, job_gb: float, disk_floor: int) -> int:
    """Return how many cells a sweep builds at once by default: 1 to 8.

    Each cell needs two cores, the memory of two compile jobs (`job_gb` each, in GB), and disk above the floor of
    `disk_floor` bytes.

    >>> cells_at_once(Machine(cores=2, memory=24 * GB, free_disk=60 * GB), 3.5, 30 * GB)
    1
    """
    by_cores = machine.cores // CELL_CORES
    by_memory = int(machine.memory / GB / (job_gb * CELL_JOBS))
    by_disk = (machine.free_disk - disk_floor) // CELL_DISK
    return max(1, min(by_cores, by_memory, by_disk, MOST_CELLS))


def is_compilation(stage: Stage) -> bool:
    """Return whether a stage compiles, which takes all cores and memory."""
    spec = stage.spec
    return isinstance(spec, WheelsSpec) or (isinstance(spec, RaySpec) and spec.mode == "source")
