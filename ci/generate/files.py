"""Every file that is made from the matrix and committed: Dockerfiles, the bake file, CI files."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ci.config.matrix import Cell
from ci.generate.bake import FILE, bake
from ci.generate.ci_files import workflows
from ci.generate.dockerfile import dockerfile
from ci.index.wheels import Page, Pages, dump_pages, find_wheel, load_pages
from ci.plan.environment import extension_pages, pyg_local_version, torch_pins
from ci.plan.inputs import Options, PlanInputs
from ci.plan.planner import Plan, Planner

COMMAND = "./daggerw call generate export --path ."
RECORD = "ci/locks/pages.json"


def render_files(inputs: PlanInputs, options: Options, read: Pages) -> dict[str, str]:
    """Return the files by their paths in the repository.

    Which PyG extensions have wheels is planned from the record of index pages, never from the network alone: `read`
    are the pages that could be read now, and renew the record that comes out with the files.
    """
    cells = inputs.matrix.built
    pages = {page.address: page for page in _pages(cells, inputs, read)}
    planner = Planner(inputs, pages, options)
    plans = [planner.plan(cell) for cell in cells]
    return {
        RECORD: dump_pages(
            (page for page in pages.values() if not page.problem), _wheels(cells, inputs, pages)
        ),
        **dockerfiles(plans, inputs.lock.paths_by_text()),
        FILE: bake(plans, inputs.matrix),
        **workflows(inputs.matrix),
    }


def dockerfiles(plans: Sequence[Plan], known: Mapping[str, str]) -> dict[str, str]:
    """Return the Dockerfiles of all pairs, and once what several of them read."""
    pairs: dict[str, list[Plan]] = {}
    for plan in plans:
        pairs.setdefault(plan.cell.pair_id, []).append(plan)
    first = [dockerfile(group, "", known) for group in pairs.values()]
    often = Counter((name, text) for files in first for name, text in files.items() if name != "Dockerfile")
    shared: dict[str, str] = {}
    for (name, text), times in often.items():
        path = f"dockerfiles/{name}"
        if times > 1 and path not in shared:
            shared[path] = text
    known = {**known, **{text: path for path, text in shared.items()}}
    found = dict(shared)
    for pair, group in pairs.items():
        folder = f"dockerfiles/{pair}"
        found |= {f"{folder}/{name}": text for name, text in dockerfile(group, folder, known).items()}
    return found


def _pages(cells: Sequence[Cell], inputs: PlanInputs, read: Pages) -> list[Page]:
    """Return each page that the cells need: as read, else as recorded, else with why there is nothing."""
    known = load_pages(inputs.lock.pages())
    found = []
    for address in dict.fromkeys(address for cell in cells for address in extension_pages(cell, inputs)):
        page = read.get(address)
        if page is None or page.problem:
            page = known.get(address, Page(address=address, problem=f"{RECORD} has no record of it"))
        found.append(page)
    return found


def _wheels(cells: Sequence[Cell], inputs: PlanInputs, pages: Pages) -> set[str]:
    """Return the addresses of all wheels that a pair of the matrix can take."""
    found = set()
    for cell in cells:
        label = pyg_local_version(torch_pins(cell, inputs), inputs.matrix.cuda[cell.cuda].wheel_tag)
        for address in extension_pages(cell, inputs):
            for name, pin in inputs.matrix.pyg.extensions.items():
                wheel = find_wheel(pages[address], name, pin.version, label, cell.python)
                found |= {wheel.address} if wheel else set()
    return found
