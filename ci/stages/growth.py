"""How much each step of an image adds to its files."""

from collections.abc import Sequence
from itertools import pairwise

import dagger

# As measure.py counts: hard links once, folders and other file systems not at all, such as the engine's own program,
# which is mounted as a file. Runtime bases have no Python.
_TOTAL = r"""
find / -xdev ! -type d -printf '%D %i %s\n' | sort -u |
    awk -v own="$(stat -c %d /)" '$1 == own { total += $3 } END { printf "%.0f", total }'
"""


async def growth(steps: Sequence[tuple[str, dagger.Container]]) -> list[tuple[str, int]]:
    """Return what each step adds to the one below it, in bytes; the first is counted whole.

    A file that a step replaces counts by what it has grown, and a step that makes files smaller counts nothing.
    """
    totals = [0]
    for _, container in steps:
        printed = await container.with_user("root").with_exec(["sh", "-c", _TOTAL]).stdout()
        totals.append(int(printed))
    return [
        (name, max(0, above - below))
        for (name, _), (below, above) in zip(steps, pairwise(totals), strict=True)
    ]
