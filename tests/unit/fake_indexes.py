"""Serve index responses to tests: recordings of the package index, stand-ins for the rest.

`data/indexes` has what the package index served on 24 November 2026, with fewer versions and files, and another host.
PyTorch's and PyG's indexes, the tags of an image repository and a conda channel are made here in their documented form.
"""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ci.index.lookup import IndexCache, IndexQuery, IndexResponse
from ci.updates.feasibility import UpdateContext
from ci.updates.model import OutdatedPin
from ci.updates.outdated import find_outdated
from ci.util.errors import UserError
from tests.unit.plans import inputs

T = TypeVar("T")
PAGES = Path(__file__).parent / "data/indexes"
INDEX = "https://index.example/simple"
COMPILED = dict.fromkeys(("torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv"), "compile")

# Pins that fit the recordings, so that a newer pin of the module changes no test.
PINS = """
[torch.registries."12.8.1"]
torch = "2.9.1"
torchvision = "0.24.1"
torchaudio = "2.9.1"
torchcodec = "0.10.0"
[torch.registries."13.1.1"]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"
torchcodec = "0.16.0"
[torch.registries.cpu]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"
torchcodec = "0.16.0"
[pyg.extensions]
torch-sparse = { version = "0.6.17", sdist = true }
[video]
enabled = false
[ray]
version = "2.58.1"
[marimo]
version = "0.25.1"
"""


class FakeIndexes:
    """Answer queries with recordings, or what `put` and `fail` set for an address, a name or both."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], str] = {}
        self._problems: dict[tuple[str, str], tuple[int | None, str]] = {}
        self.queries: list[IndexQuery] = []

    def put(self, text: str, address: str = "", name: str = "") -> None:
        """Serve a text."""
        self._texts[address, name] = text

    def fail(self, address: str = "", name: str = "", *, status: int | None = None) -> None:
        """Make a page unreachable, or serve a status."""
        problem = f"HTTP {status}" if status else "[Errno 111] Connection refused"
        self._problems[address, name] = status, problem

    def answer(self, query: IndexQuery) -> IndexResponse:
        """Respond as `programs/read_indexes.py` would."""
        self.queries.append(query)
        key = query.address, query.name
        address = f"{query.address or INDEX}/{query.name}/" if query.kind == "project" else query.address
        text = self._texts.get(key) or _recorded(query)
        if key in self._problems or text is None:
            status, problem = self._problems.get(key, (404, "HTTP 404"))
            return IndexResponse(address=address, status=status, problem=problem)
        return IndexResponse(address=address, status=200, bodies=(text,))


def settle(context: UpdateContext, indexes: FakeIndexes, decide: Callable[[UpdateContext], T]) -> T:
    """Decide, read the pending queries, and decide again, as `ci.updates.resolve` does."""
    for _ in range(12):
        try:
            decision = decide(context)
        except UserError:
            if not context.index_cache.pending:
                raise
        else:
            if not context.index_cache.pending:
                return decision
        context.index_cache.add({query: indexes.answer(query) for query in context.index_cache.pending})
    raise AssertionError("queries are still pending")


def outdated_by_name(context: UpdateContext, indexes: FakeIndexes) -> dict[str, OutdatedPin]:
    """Find what is outdated, by the names of pins."""
    return {pin.name: pin for pin in settle(context, indexes, find_outdated)}


def cell_states(pin: OutdatedPin, version: str) -> dict[str, str]:
    """Return the states of the cells that an upgrade affects."""
    upgrade = next(upgrade for upgrade in pin.offers if upgrade.version == version)
    return {cell: impact.state for impact in upgrade.effects for cell in impact.cells}


def recorded(changes: str = PINS) -> tuple[UpdateContext, FakeIndexes]:
    """Return the `registries` sources with the recordings, which have no packages for video."""
    return UpdateContext(inputs("registries", changes=changes), IndexCache()), FakeIndexes()


def recorded_with_video(*more: str) -> tuple[UpdateContext, FakeIndexes]:
    """Return the `registries` sources with video: wheels of the pinned versions, and more of them."""
    context, indexes = recorded(PINS.replace("enabled = false", "enabled = true"))
    tags = ("cp313-cp313-manylinux_2_28_x86_64.whl", "cp314-cp314-manylinux_2_28_x86_64.whl")
    wheels = [f"torchcodec-{version}-{tag}" for version in ("0.10.0", "0.16.0") for tag in tags]
    wheels += ["av-18.1.0-cp311-abi3-manylinux_2_28_x86_64.whl", *more]
    for name in ("torchcodec", "av"):
        indexes.put(
            simple_page(dict.fromkeys((one for one in wheels if one.startswith(f"{name}-")), "")), name=name
        )
    return context, indexes


def upstream(changes: str = "") -> tuple[UpdateContext, FakeIndexes]:
    """Return the `upstream` sources with stand-ins.

    torch 2.12.0 is there for cu130 and cpu, and 2.15.0 for cu132 alone; CUDA is there up to 13.2.0, CPython to 3.15.
    """
    changes = f"video.enabled = false\n{changes}"
    context, indexes = UpdateContext(inputs("upstream", changes=changes), IndexCache()), FakeIndexes()
    old, new = ("cp313", "cp314"), ("cp313", "cp314", "cp315")
    torches: dict[str, dict[str, Sequence[str]]] = {
        "cu128": {"2.11.0": old},
        "cu130": {"2.11.0": old, "2.12.0": new},
        "cpu": {"2.11.0": old, "2.12.0": new},
        "cu132": {"2.15.0": new[1:]},
    }
    for tag, by_torch in torches.items():
        _torch_index(indexes, f"https://download.pytorch.org/whl/{tag}", tag, by_torch)
    page: Mapping[str, Sequence[str]]
    for torch, tag, page in (
        ("2.11.0", "cu128", {"pyg_lib": ("cp310-abi3",), "torch_scatter": ("cp313-cp313",)}),
        ("2.11.0", "cu130", {"pyg_lib": ("cp310-abi3",), "torch_scatter": ("cp313-cp313", "cp314-cp314")}),
        ("2.12.0", "cu130", {"pyg_lib": ("cp310-abi3",)}),
        ("2.11.0", "cpu", {}),
    ):
        indexes.put(pyg_page(torch, tag, page), pyg_address(torch, tag))
    indexes.put(tags("12.8.1", "12.8.2", "13.1.1", "13.2.0", "13.3.0rc1"), TAGS)
    builds = [
        ("3.13.5", "h_102_cp313"),
        ("3.13.9", "h_0_cp313"),
        ("3.14.3", "h_1_cp314"),
        ("3.14.9", "h_0_cp314t"),
    ]
    indexes.put(json.dumps([*builds, ("3.15.1", "h_0_cp315"), ("3.16.0a1", "h_0_cp316")]), CHANNEL, "python")
    return context, indexes


def _torch_index(indexes: FakeIndexes, index: str, tag: str, by_torch: Mapping[str, Sequence[str]]) -> None:
    """Serve an index of torch and its companions; torchaudio has no requirement on torch."""
    pages: dict[str, list[str]] = {"torch": [], "torchvision": [], "torchaudio": []}
    for torch, abis in by_torch.items():
        for name, version in (("torch", torch), ("torchvision", VISION[torch]), ("torchaudio", "2.11.0")):
            for abi in abis:
                wheel = f"{name}-{version}+{tag}-{abi}-{abi}-manylinux_2_28_x86_64.whl"
                requires = f"Requires-Dist: torch=={torch}\n" if name == "torchvision" else ""
                address = f"{index}/{wheel.replace('+', '%2B')}.metadata"
                indexes.put(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}", address)
                pages[name].append(wheel)
    for name, wheels in pages.items():
        indexes.put(simple_page(dict.fromkeys(wheels, 'data-core-metadata="true"')), index, name)


VISION = {"2.11.0": "0.26.0", "2.12.0": "0.27.0", "2.15.0": "0.29.2"}
TAGS = "https://registry-1.docker.io/v2/nvidia/cuda/tags/list"
CHANNEL = "https://conda.anaconda.org/conda-forge"


def tags(*cudas: str) -> str:
    """Return the tags of `nvidia/cuda` as a registry lists them."""
    kinds = ("cudnn-devel-ubuntu24.04", "base-ubuntu24.04", "base-ubi9", "cudnn-devel-ubuntu22.04")
    return json.dumps(
        {"name": "nvidia/cuda", "tags": ["latest", *(f"{c}-{k}" for c in cudas for k in kinds)]}
    )


def pyg_address(torch: str, tag: str) -> str:
    """Return the address of PyG's page of wheels."""
    return f"https://data.pyg.org/whl/torch-{torch}%2B{tag}.html"


def pyg_page(torch: str, tag: str, wheels: Mapping[str, Sequence[str]]) -> str:
    """Return PyG's page of wheels: version 0.8.0 of pyg_lib, 2.1.2 of torch_scatter."""
    versions = {"pyg_lib": "0.8.0", "torch_scatter": "2.1.2", "torch_sparse": "0.6.18"}
    local = f"pt{''.join(torch.split('.')[:2])}{tag}"
    names = [
        f"{n}-{versions[n]}%2B{local}-{t}-linux_x86_64.whl" for n, found in wheels.items() for t in found
    ]
    return "<!DOCTYPE html>\n" + "".join(f'<a href="torch-{torch}%2B{tag}/{n}">{n}</a><br/>\n' for n in names)


def simple_page(files: Mapping[str, str]) -> str:
    """Return a project's page as HTML (PEP 503), from file names and attributes of their links."""
    rows = (
        f'<a href="../{html.escape(name.replace("+", "%2B"))}" {attributes}>{html.escape(name)}</a><br/>'
        for name, attributes in files.items()
    )
    return "<!DOCTYPE html><html><body>\n" + "\n".join(rows) + "\n</body></html>\n"


def _recorded(query: IndexQuery) -> str | None:
    if query.kind == "project" and not query.address:
        path = next(PAGES.glob(f"{query.name}.*"), None)
    else:
        wheel = re.search(r"/(torch(?:vision|audio)?)-([0-9.]+)-[^/]+\.whl$", query.address)
        path = PAGES / f"{wheel[1]}-{wheel[2]}.metadata" if wheel and query.kind == "wheel" else None
    return path.read_text("utf-8") if path and path.exists() else None
