"""How many cells a machine builds at once."""

import pytest

from ci.session.machine import Machine
from ci.sweep.capacity import cells_at_once
from ci.util.units import GB


@pytest.mark.parametrize(
    ("cores", "memory", "disk", "expected", "because"),
    [
        (2, 24, 75, 1, "two cores are one cell's"),
        (16, 128, 1000, 8, "all there is, at most eight"),
        (16, 16, 1000, 2, "two compile jobs of 3.5 GB for each cell"),
        (64, 512, 90, 2, "28 GB of disk each above the floor"),
        (1, 2, 10, 1, "one cell always"),
    ],
)
def test_cells_at_once(cores: int, memory: int, disk: int, expected: int, because: str) -> None:
    machine = Machine(cores=cores, memory=memory * GB, free_disk=disk * GB)
    assert cells_at_once(machine, 3.5, 30 * GB) == expected, because
