"""Limit how many cells a sweep builds at once; cells that were built before take less, so more of them may run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class CellSlots:
    """The slots of a sweep: some for cells that build, and `cached` more for cells that probably find all built."""

    def __init__(self, cells: int, cached: int = 0) -> None:
        self._building = anyio.CapacityLimiter(cells)
        self._cached = anyio.CapacityLimiter(cached) if cached else self._building

    @asynccontextmanager
    async def take(self, *, cached: bool) -> AsyncIterator["CellSlot"]:
        """Wait for a slot, and hold it until the block ends. Cells get theirs in the order in which they came."""
        slot = CellSlot(self._cached if cached else self._building, self._building)
        await slot.acquire()
        try:
            yield slot
        finally:
            slot.release()


class CellSlot:
    """The slot of one cell."""

    def __init__(self, limiter: anyio.CapacityLimiter, building: anyio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._building = building

    async def acquire(self) -> None:
        """Wait for the slot."""
        await self._limiter.acquire()

    def release(self) -> None:
        """Let another cell have the slot."""
        self._limiter.release()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[None]:
        """Let another cell use the slot until the block ends."""
        self.release()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.acquire()

    async def require_building(self) -> None:
        """Wait for a slot of cells that build, unless this is one: the engine has dropped what was built."""
        if self._limiter is not self._building:
            self.release()
            self._limiter = self._building
            with anyio.CancelScope(shield=True):  # the block in which the slot is held ends with a release
                await self.acquire()
