"""The line that a report gives for a failed cell: the call that opens a terminal before the command that failed."""

import pytest

from ci.config.matrix import Cell
from ci.history.records import BuildRecord, Failure, FailureKind
from ci.session.options import CallOptions
from ci.session.session import Session, open_session
from ci.sweep.run import debug_hints

CELL = Cell(cuda="cpu", python="3.13", target="devel")
PLAIN = "./daggerw call --sources=registries debug --cuda=cpu --python=3.13 --target=devel terminal"


async def session(archs: str | None = None, jobs: int | None = None, variant: str = "default") -> Session:
    return await open_session(CallOptions(sources="registries", archs=archs, jobs=jobs, variant=variant))


def record(failure: Failure | None) -> BuildRecord:
    return BuildRecord(
        run="r", cell=CELL.id, plan="p", sources="registries", status="failed" if failure else "ok",
        started="2026-11-22T02:00:00Z", failure=failure,
    )  # fmt: skip


async def test_the_call_has_the_options_that_were_given() -> None:
    assert (await session()).command_line("debug", CELL, "terminal") == PLAIN
    given = await session(archs="8.0 9.0+PTX", jobs=2, variant="slim")
    assert given.command_line("debug", CELL) == (
        "./daggerw call --sources=registries '--archs=8.0 9.0+PTX' --jobs=2 --variant=slim "
        "debug --cuda=cpu --python=3.13 --target=devel"
    )


@pytest.mark.parametrize(
    ("kind", "exit_code", "told"),
    [
        ("unknown", 1, True),
        ("network", 2, True),
        ("verification", None, True),
        ("network", None, False),
        ("gate", None, False),
        ("engine-gone", None, False),
        ("bug", None, False),
    ],
)
async def test_there_is_a_way_in_where_a_command_failed(
    kind: FailureKind, exit_code: int | None, told: bool
) -> None:
    failure = Failure(kind=kind, stage="torch", message="m", exit_code=exit_code)
    lines = debug_hints(await session(), [CELL], [record(failure)])
    assert lines == ([f"cpu-py3.13-devel: to look around where it failed: {PLAIN}"] if told else [])


async def test_there_is_none_into_a_cell_that_came_out() -> None:
    assert debug_hints(await session(), [CELL], [record(None)]) == []
