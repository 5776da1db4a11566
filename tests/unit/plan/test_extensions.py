"""A PyG extension comes as a wheel where one fits, is compiled where there is a source, and is missing elsewhere."""

import pytest

from ci.config.pins import ExtensionPin
from ci.config.sources import read_sources
from ci.index.wheels import Page, Wheel
from ci.plan.extensions import (
    Compile,
    Missing,
    pyg_local_version,
    pyg_page_address,
    resolve_extension,
)
from tests.unit.plans import pyg_page

PIN = ExtensionPin(version="2.1.2", sdist=True)
WHEEL_ONLY = ExtensionPin(version="2.1.2", sdist=False)
UNREAD = Page(address="https://data.pyg.org/x.html", problem="status 503")


def resolve(
    page: Page | None,
    pin: ExtensionPin = PIN,
    *,
    torch: str = "2.11.0",
    tag: str = "cu128",
    python: str = "3.13",
) -> Wheel | Compile | Missing:
    """Resolve torch-scatter."""
    return resolve_extension("torch-scatter", pin, page, torch=torch, tag=tag, python=python, glibc="2.36")


def test_a_wheel_that_fits_is_used() -> None:
    found = resolve(pyg_page())
    assert isinstance(found, Wheel)
    assert found.filename == "torch_scatter-2.1.2+pt211cu128-cp313-cp313-linux_x86_64.whl"
    assert resolve(pyg_page(), WHEEL_ONLY) == found, "whether there is a source does not matter then"


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (None, "the sources have no page of PyG wheels"),
        (UNREAD, "the page of PyG wheels could not be read: status 503"),
        (pyg_page(["torch_sparse"]), "no cp313 wheel on the PyG page for torch 2.11.0+cu128"),
        (pyg_page(abi="cp314"), "no cp313 wheel on the PyG page for torch 2.11.0+cu128"),
        (pyg_page(tag="cu130"), "no cp313 wheel on the PyG page for torch 2.11.0+cu128"),
        (pyg_page(torch="2.12.0"), "no cp313 wheel on the PyG page for torch 2.11.0+cu128"),
    ],
    ids=["none", "unread", "another name", "another Python", "another CUDA", "another torch"],
)
def test_without_a_wheel_the_source_decides(page: Page | None, reason: str) -> None:
    assert resolve(page) == Compile("torch-scatter==2.1.2", reason)
    assert resolve(page, WHEEL_ONLY) == Missing(f"{reason}, and no source is on the package index")


def test_the_reason_names_the_python_torch_and_cuda() -> None:
    found = resolve(pyg_page(), torch="2.12.0", tag="cpu", python="3.14")
    assert found == Compile("torch-scatter==2.1.2", "no cp314 wheel on the PyG page for torch 2.12.0+cpu")


@pytest.mark.parametrize(
    ("torch", "tag", "label"),
    [("2.11.0", "cu128", "pt211cu128"), ("2.9.1", "cu130", "pt29cu130"), ("2.11", "cpu", "pt211cpu")],
)
def test_the_local_version_names_torchs_minor_and_cuda(torch: str, tag: str, label: str) -> None:
    assert pyg_local_version(torch, tag) == label


def test_the_address_of_the_page_is_filled_from_the_sources() -> None:
    upstream, registries = read_sources("upstream"), read_sources("registries")
    assert (
        pyg_page_address(upstream, "2.11.0", "cu130") == "https://data.pyg.org/whl/torch-2.11.0%2Bcu130.html"
    )
    assert pyg_page_address(registries, "2.11.0", "cu130") is None
