"""Matrices, index pages and plans to test with.

The matrix is the module's own with the pins fixed here, so that a newer pin changes no test, and without a schedule,
whose phases a test may not have.
"""

from collections.abc import Iterable
from functools import cache
from importlib import resources

from ci.config.locks import Locks, read_locks
from ci.config.matrix import Cell, Matrix
from ci.config.sources import read_sources
from ci.history.history import History
from ci.index.wheels import Page, read_page
from ci.plan.code_digests import digest_code, read_code
from ci.plan.inputs import Options, PlanInputs
from ci.plan.plan import Plan
from ci.plan.planner import plan_cell
from ci.sweep.preview import preview, render_text
from ci.util.model import load_model, merge_tables, parse_toml

_TORCH = 'torch = "2.11.0"\ntorchvision = "0.26.0"\ntorchaudio = "2.11.0"\n'
_CODEC = 'torchcodec = "0.11.1"\n'
PINS = f"""
[schedule]
runs = []
[torch.upstream."12.8.1"]
{_TORCH}{_CODEC}
[torch.upstream."13.1.1"]
{_TORCH}
torchcodec = "0.16.0"
torchcodec-cuda = true
[torch.upstream.cpu]
{_TORCH}{_CODEC}
[pyg]
torch-geometric = "2.8.1"
[pyg.extensions]
pyg-lib = {{ version = "0.8.0", sdist = false }}
torch-scatter = {{ version = "2.1.2", sdist = true }}
torch-sparse = {{ version = "0.6.18", sdist = true }}
torch-cluster = {{ version = "1.6.3", sdist = true }}
torch-spline-conv = {{ version = "1.2.2", sdist = true }}
[video]
enabled = true
opencv = false
av = "18.1.0"
opencv-python-headless = "5.0.0.93"
[ray]
version = "2.60.0"
extras = ["data", "train", "tune", "serve"]
nightly = "3.0.0.dev0"
[marimo]
version = "0.25.2"
port = 8080
"""

EXTENSIONS = {
    "pyg_lib": "0.8.0",
    "torch_scatter": "2.1.2",
    "torch_sparse": "0.6.18",
    "torch_cluster": "1.6.3",
    "torch_spline_conv": "1.2.2",
}

PAIRS = ("cu12.8.1-py3.13", "cu12.8.1-py3.14", "cu13.1.1-py3.14")
TARGETS = ("devel", "runtime", "ray-devel", "ray-runtime", "marimo-devel", "marimo-runtime")
CELLS = tuple(f"{pair}-{target}" for pair in PAIRS for target in TARGETS)


def shipped(name: str) -> str:
    """Return a document of the module as it is: `matrix.toml`."""
    return resources.files("ci").joinpath(name).read_text("utf-8")


def matrix_with(changes: str = "") -> Matrix:
    """Return the matrix with fixed pins, and TOML laid over it."""
    pinned = merge_tables(parse_toml(shipped("matrix.toml"), "matrix.toml"), parse_toml(PINS, "pins"))
    return load_model(merge_tables(pinned, parse_toml(changes, "changes")), Matrix, "matrix.toml")


@cache
def locks() -> Locks:
    """Return the module's locks, read once."""
    return read_locks()


@cache
def code() -> dict[str, str]:
    """Return the digests of the stages' code, read once."""
    return digest_code(read_code())


def inputs(sources_name: str = "upstream", *, changes: str = "", mirrors: str | None = None) -> PlanInputs:
    """Return what plans are made from."""
    sources = read_sources(sources_name, mirrors)
    return PlanInputs(
        matrix=matrix_with(changes), sources_name=sources_name, sources=sources, locks=locks(), code=code()
    )


def cell(cell_id: str) -> Cell:
    """Return the cell of an id: `cu12.8.1-py3.13-ray-runtime`."""
    cuda, python, target = cell_id.split("-", 2)
    return Cell(cuda=cuda.removeprefix("cu"), python=python.removeprefix("py"), target=target)


def plan(
    cell_id: str,
    sources_name: str = "upstream",
    *,
    page: Page | None = None,
    changes: str = "",
    mirrors: str | None = None,
    options: Options | None = None,
) -> Plan:
    """Plan a cell; without a page, none was read."""
    pages = {page.address: page} if page else {}
    return plan_cell(cell(cell_id), inputs(sources_name, changes=changes, mirrors=mirrors), pages, options)


def digests(made: Plan) -> dict[str, str]:
    """Return the digest of each stage by its name."""
    return {stage.name: stage.digest for stage in made.stages}


def reason(made: Plan, name: str) -> str:
    """Return why a stage is as it is."""
    return next(stage.reason for stage in made.stages if stage.name == name)


def pyg_page(
    extensions: Iterable[str] = EXTENSIONS, abi: str = "cp313", torch: str = "2.11.0", tag: str = "cu128"
) -> Page:
    """Return PyG's page of wheels for a torch and CUDA, holding the wheels of some extensions."""
    local = f"pt{''.join(torch.split('.')[:2])}{tag}"
    names = [f"{name}-{EXTENSIONS[name]}+{local}-{abi}-{abi}-linux_x86_64.whl" for name in extensions]
    rows = [f'<a href="torch-{torch}%2B{tag}/{name.replace("+", "%2B")}">{name}</a><br/>' for name in names]
    return read_page(f"https://data.pyg.org/whl/torch-{torch}%2B{tag}.html", "\n".join(rows))


def explain(made: Plan) -> str:
    """Return a plan in words, without any history."""
    return render_text(preview([made], {}, History()))
