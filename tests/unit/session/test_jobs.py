"""Test jobs that run side by side."""

import anyio
import pytest

from ci.session.jobs import run_jobs


async def test_jobs_run_side_by_side() -> None:
    first, second = anyio.Event(), anyio.Event()

    async def one() -> None:
        first.set()
        await second.wait()

    async def other() -> None:
        await first.wait()
        second.set()

    await run_jobs([one, other])


async def test_a_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError("broken")

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("waiting")

    with pytest.raises(ValueError, match="broken"):
        await run_jobs([wait, fail])
    assert ended == ["waiting"]
