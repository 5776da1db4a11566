"""Report from the records how cells were last built."""

from collections.abc import Sequence

import dagger

from ci.config.matrix import Cell
from ci.report.model import make_report
from ci.report.writer import render_report
from ci.session.clock import utc_now
from ci.session.history import load_history, open_store
from ci.session.session import Session, images_to_report


async def report_cells(
    session: Session,
    cells: Sequence[Cell],
    form: str,
    *,
    filtered: bool,
    history: dagger.File | None,
    page: dagger.File | None,
) -> str:
    """Render the report of cells in one of the forms; without a filter, of every cell that was ever built.

    `history` has records to add to the engine's; the report is put between the marks of `page`, if it is given.
    """
    known = await load_history(open_store(session), history)
    names = images_to_report(session, cells, known.history, filtered=filtered)
    report = make_report(known.history, names, now=utc_now(), live=known.live)
    return render_report(report, form, await page.contents() if page else None)
