"""Sessions: the order in which options are checked, the selection of images to report, and early errors."""

import pytest

from ci.config.matrix import Cell
from ci.history.history import History
from ci.plan.inputs import Options
from ci.session.options import CallOptions
from ci.session.session import Session, images_to_report, open_session
from ci.stages.context import BuildContext
from ci.stages.online import Network
from ci.util.errors import UserError
from tests.unit.plans import CELLS, cell, inputs
from tests.unit.sample_histories import record


def session(sources_name: str = "upstream", *, changes: str = "", variant: str = "default") -> Session:
    """Return a session without files of a caller."""
    return Session(
        inputs=inputs(sources_name, changes=changes),
        context=BuildContext(network=Network()),
        options=Options(variant=variant),
        matrix_text="",
        matrix_file="ci/matrix.toml",
    )


async def test_options_are_checked_in_order() -> None:
    wrong = {"jobs": 0, "archs": "x", "ray_mode": "x", "sources": "x", "variant": "x"}
    messages = []
    while wrong:
        with pytest.raises(UserError) as raised:
            await open_session(CallOptions(**wrong))  # type: ignore[arg-type]
        messages.append(str(raised.value).partition("'")[0])
        wrong.pop(next(iter(wrong)))
    assert messages == [
        "bad number of jobs 0; accepted: 1 to 1024",
        "bad list of GPU architectures ",
        "unknown Ray mode ",
        "unknown sources profile ",
        "unknown variant ",
    ]


async def test_without_sources_those_of_the_dockerfiles_are_used() -> None:
    opened = await open_session(CallOptions())
    assert opened.inputs.sources_name == opened.matrix.dockerfiles.sources
    assert opened.flags == (f"--sources={opened.inputs.sources_name}",)
    assert opened.matrix_file == "ci/matrix.toml"


async def test_the_flags_are_those_that_differ_from_the_default() -> None:
    call = CallOptions(sources="registries", archs="8.0", jobs=2, ray_mode="nightly", variant="slim")
    flags = ("--sources=registries", "--archs=8.0", "--jobs=2", "--ray-mode=nightly", "--variant=slim")
    assert (await open_session(call)).flags == flags


async def test_a_cell_that_cannot_be_planned_fails_before_a_page_is_read() -> None:
    # Without an engine, reading the first cell's page would be another error.
    impossible = Cell(cuda="99.9.9", python="3.13", target="devel")
    with pytest.raises(UserError, match=r"\[torch\.upstream\] has no row for CUDA 99\.9\.9"):
        await session().plans([cell(CELLS[0]), impossible])


def test_a_report_without_a_filter_has_all_recorded_images_that_are_not_excluded() -> None:
    changes = f'[[excludes]]\nonly = "{CELLS[2]}"\nreason = "no wheel"\n'
    history = History((record(CELLS[1]), record(CELLS[2]), record("gone")))
    current = session(changes=changes)
    assert images_to_report(current, [cell(CELLS[0])], history, filtered=True) == [CELLS[0]]
    assert images_to_report(current, [cell(CELLS[0])], history, filtered=False) == [
        CELLS[0],
        CELLS[1],
        "gone",
    ]


def test_the_image_of_a_variant_has_its_name() -> None:
    devel, runtime = cell("cu12.8.1-py3.13-devel"), cell("cu12.8.1-py3.13-runtime")
    assert session(variant="slim").image_names([devel, runtime]) == [devel.id, f"{runtime.id}@slim"]
