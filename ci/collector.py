"""How often Python looks for garbage: plans of thousands of cells are all in use, and looking took half of the time."""

import gc

ALLOCATIONS = 100_000  # between two looks; Python's own figure is 700


def relax() -> None:
    """Let Python look for garbage seldom, in the whole process; a call of the module is short."""
    gc.set_threshold(ALLOCATIONS)
