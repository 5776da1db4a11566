"""Render all files that are generated from plans: Dockerfiles, the bake file, CI files."""

from collections.abc import Sequence

from ci.config.matrix import Cell
from ci.generate import bake
from ci.generate.ci_files import render_ci_files
from ci.generate.dockerfiles import write_dockerfiles
from ci.index.wheels import Page, Pages, dump_pages, load_pages
from ci.plan.inputs import Options, PlanInputs
from ci.plan.pair import list_extension_pages
from ci.plan.plan import Plan
from ci.plan.planner import Planner
from ci.plan.stages.pyg import PygSpec

COMMAND = "./daggerw call generate export --path ."
RECORD = "ci/locks/pages.json"


def render_files(inputs: PlanInputs, options: Options, read: Pages) -> dict[str, str]:
    """Return the files by their path in the repository.

    The plans use the committed record of index pages, so that the files do not depend on the network; `read` are the
    pages that could be read now, which update the record.
    """
    cells = inputs.matrix.built
    pages = {page.address: page for page in _pages(cells, inputs, read)}
    planner = Planner(inputs, pages, options)
    plans = [planner.plan(cell) for cell in cells]
    written = write_dockerfiles(plans, inputs.matrix, inputs.locks.paths_by_text())
    return {
        RECORD: dump_pages((page for page in pages.values() if not page.problem), _wheel_addresses(plans)),
        **written.files,
        bake.FILE: bake.render_bake_file(plans, inputs.matrix, written.pairs),
        **render_ci_files(inputs.matrix),
    }


def _pages(cells: Sequence[Cell], inputs: PlanInputs, read: Pages) -> list[Page]:
    """Return each page that the cells need: as read, else as recorded, else with the problem."""
    known = load_pages(inputs.locks.pages())
    pages = []
    for address in dict.fromkeys(address for cell in cells for address in list_extension_pages(cell, inputs)):
        page = read.get(address)
        if page is None or page.problem:
            page = known.get(address, Page(address=address, problem=f"{RECORD} has no record of it"))
        pages.append(page)
    return pages


def _wheel_addresses(plans: Sequence[Plan]) -> set[str]:
    return {wheel.address for plan in plans for wheel in plan.spec("pyg", PygSpec).wheels}
