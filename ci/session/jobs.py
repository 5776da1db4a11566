"""Run jobs side by side, and raise the plain error of the first that fails."""

from collections.abc import Awaitable, Callable, Iterable

import anyio

Job = Callable[[], Awaitable[None]]


async def run_jobs(jobs: Iterable[Job]) -> None:
    """Run all jobs at once; if one fails, cancel the others and raise its error, which a task group would wrap."""
    errors: list[Exception] = []

    async def run(job: Job) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(run, job)
    if errors:
        raise errors[0]
