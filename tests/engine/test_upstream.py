"""The `upstream` sources' code path, against mirrors on loopback: an image registry, a conda channel, index pages.

NVIDIA's devel image is stood in for by Debian with the toolkit from wheels; the originals were not reached.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci.programs.make_bundle import manifest_of
from tests.engine.conftest import SmallStack, dagger, succeed
from tests.stand_ins import small_stack

OLD = ("--cuda=12.8.1", "--python=3.13")
PYTHON = "/opt/env/bin/python"
CONTRACT = (
    *(
        "no_root_needed",
        "variables",
        "user_places",
        "user_site",
        "certificates",
        "apt_install",
        "driver_mount",
    ),
    *(
        "bytecode",
        "replace_packages",
        "copied_packages",
        "imports",
        "standard_library",
        "pip_check",
        "pip_install",
    ),
)


@dataclass(frozen=True)
class Upstream:
    """The small stack, with a mirrors file for the upstream sources."""

    stack: SmallStack
    mirrors: Path

    def words(self, *options: str) -> list[str]:
        """Return the options of a call, others first."""
        words = self.stack.words("upstream", self.mirrors)
        return [words[0], *options, *words[1:]]


@pytest.fixture(scope="module")
def upstream(small: SmallStack, registry: int) -> Upstream:
    image = f"127.0.0.1:{registry}/nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04"
    succeed(*small.words(), "base", *OLD, "publish", f"--address={image}")
    succeed(*small.words(), "channel", *OLD, "export", f"--path={small.folder / 'channel'}")
    mirror = f"http://mirror:{small.port}"
    mirrors = small.folder.parent / "upstream.toml"
    mirrors.write_text(
        f"""
[images]
devel = "127.0.0.1:{registry}/nvidia/cuda:{{cuda}}-cudnn-devel-ubuntu24.04"
runtime = "debian:bookworm-slim"
cpu = "debian:bookworm-slim"
glibc = "2.36"
[conda]
channels = ["{mirror}/channel"]
[wheels]
index = "{mirror}/simple"
torch = "{mirror}/simple"
pyg = "{mirror}/pyg/torch-{{torch}}%2B{{tag}}.html"
ray_nightly = "{mirror}/ray-wheels/{{wheel}}"
""",
        "utf-8",
    )
    return Upstream(small, mirrors)


def test_the_plan_takes_the_wheel_that_the_page_has_and_compiles_the_rest(upstream: Upstream) -> None:
    printed = succeed(*upstream.words(), "plan", *OLD, "--target=runtime")
    assert "torch-spline-conv 0.1.0: wheel" in printed
    assert "torch-scatter 0.1.0: compile (no cp313 wheel on the PyG page for torch 0.1.0+cu128)" in printed
    assert "pyg-lib is left out" in printed


def test_another_python_has_no_wheel_there(upstream: Upstream) -> None:
    printed = succeed(*upstream.words(), "plan", "--cuda=12.8.1", "--python=3.14", "--target=runtime")
    assert "torch-spline-conv 0.1.0: compile (no cp314 wheel" in printed


def test_a_wheel_that_is_not_what_its_page_says_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    page = upstream.stack.folder / "forged"
    page.mkdir()
    good = (upstream.stack.folder / "pyg/torch-0.1.0+cu128.html").read_text("utf-8")
    forged = good.replace('.whl"', f'.whl#sha256={"0" * 64}"').replace('href="', 'href="../pyg/')
    (page / "torch-0.1.0+cu128.html").write_text(forged, "utf-8")
    mirrors = tmp_path / "mirrors.toml"
    mirrors.write_text(upstream.mirrors.read_text("utf-8").replace("/pyg/torch-", "/forged/torch-"), "utf-8")
    words = Upstream(upstream.stack, mirrors).words()
    answer = dagger(*words, "matrix", *OLD, "--target=runtime", "--disk-floor=1", "--verify=none")
    assert answer.status != 0
    assert "\ncu12.8.1-py3.13-runtime: hash-mismatch at pyg: " in answer.err
    assert "tried again" not in answer.err


def test_a_page_that_cannot_be_read_is_said(upstream: Upstream, tmp_path: Path) -> None:
    mirrors = tmp_path / "gone.toml"
    mirrors.write_text(upstream.mirrors.read_text("utf-8").replace("/pyg/", "/gone/"), "utf-8")
    words = Upstream(upstream.stack, mirrors).words()
    printed = succeed(*words, "plan", *OLD, "--target=runtime")
    assert "the page of PyG wheels could not be read" in printed


def test_the_image_is_built_from_the_mirrors(upstream: Upstream) -> None:
    code = (
        "import json, importlib.metadata as m, subprocess; print(json.dumps([m.version('torch'), m.version('ray'),"
        " subprocess.run(['nvcc', '--version'], capture_output=True, text=True).stdout.split()[-1]]))"
    )
    quoted = '"' + code.replace('"', '""') + '"'
    image = ("build", *OLD, "--target=ray-runtime")
    printed = succeed(*upstream.words(), *image, "with-exec", f"--args={PYTHON},-c,{quoted}", "stdout")
    torch, ray, nvcc = json.loads(printed)
    assert (torch, ray) == ("0.1.0+cu128", "0.1.0")
    assert "12.4" in nvcc


@pytest.mark.parametrize(
    ("target", "more"), [("ray-runtime", []), ("devel", ["conda_install", "conda_tools"])]
)
def test_the_image_is_usable_where_people_use_it(
    upstream: Upstream, tmp_path: Path, target: str, more: list[str]
) -> None:
    """The checks of the contract (docs/using-images.md) that hold whatever the packages are."""
    checks = [*CONTRACT, *more]
    matrix = small_stack.matrix_with(
        tmp_path / "matrix.toml", more=f"[verify]\nchecks = {json.dumps(checks)}\n"
    )
    words = upstream.stack.words("upstream", upstream.mirrors, matrix)
    printed = succeed(*words, "verify", *OLD, f"--target={target}")
    passed = {line.split()[0] for line in printed.splitlines() if line.startswith("  ")}
    assert passed == set(checks) - ({"no_root_needed"} if target == "devel" else set())


@pytest.mark.parametrize("python", ["3.13", "3.14"])
def test_a_nightly_ray_is_taken_for_the_cells_own_python(upstream: Upstream, python: str) -> None:
    printed = succeed(
        *upstream.words("--ray-mode=nightly"),
        "plan",
        "--cuda=12.8.1",
        f"--python={python}",
        "--target=ray-devel",
    )
    abi = f"cp{python.replace('.', '')}"
    assert f"ray-0.2.0.dev0-{abi}-{abi}-manylinux2014_x86_64.whl" in printed


def test_the_nightly_wheel_is_installed(upstream: Upstream) -> None:
    code = "import importlib.metadata as m; print(m.version('ray'))"
    printed = succeed(
        *upstream.words("--ray-mode=nightly"),
        "ray",
        *OLD,
        "with-exec",
        f'--args={PYTHON},-c,"{code}"',
        "stdout",
    )
    assert printed.strip() == "0.2.0.dev0"


def test_without_conda_uv_asks_the_mirror_for_a_standalone_python(upstream: Upstream, tmp_path: Path) -> None:
    mirrors = tmp_path / "pythons.toml"
    pythons = f"http://mirror:{upstream.stack.port}/pythons"
    text = upstream.mirrors.read_text("utf-8")
    mirrors.write_text(f'{text}\n[interpreter]\nstandalone = "{pythons}"\n', "utf-8")
    matrix = small_stack.matrix_with(
        tmp_path / "matrix.toml", more="[variants.default]\n[variants.uv]\nconda = false\n"
    )
    words = upstream.stack.words("upstream", mirrors, matrix)
    answer = dagger(words[0], "--variant=uv", *words[1:], "build", *OLD, "--target=runtime")
    assert answer.status != 0, "the mirror has none"
    assert "uv cannot fetch CPython 3.13" in answer.err
    assert f"{pythons}/" in answer.err


def test_a_registry_that_is_not_there_fails_the_call(upstream: Upstream, tmp_path: Path) -> None:
    mirrors = tmp_path / "no-registry.toml"
    mirrors.write_text('[images]\ndevel = "127.0.0.1:1/nvidia/cuda:{cuda}"\n', "utf-8")
    words = Upstream(upstream.stack, mirrors).words()
    answer = dagger(*words, "base", *OLD)
    assert answer.status != 0
    assert "127.0.0.1:1" in answer.err


def test_a_bundle_has_the_conda_packages_and_the_wheels_of_pages(upstream: Upstream, tmp_path: Path) -> None:
    cell, carried = (*OLD, "--target=runtime"), tmp_path / "bundle"
    succeed(*upstream.words(), "bundle", *cell, "export", f"--path={carried}")
    held = manifest_of(carried)
    names = {entry.name for entry in held.files}
    assert any(name.startswith("python-3.13.") and name.endswith(".conda") for name in names)
    assert any(name.startswith("torch_spline_conv-0.1.0-") for name in names), "from PyG's page"
    assert any(name.startswith("torch_scatter-0.1.0.tar") for name in names), "compiled there"
    # The same addresses, and no service behind them.
    words = [word for word in upstream.words() if not word.startswith("--mirror-service")]
    words = [words[0], *words[1:], f"--from-bundle={carried}"]
    assert "torch-spline-conv 0.1.0: wheel" in succeed(*words, "plan", *cell)
    code = "import sys, torch_scatter, torch_spline_conv; print(sys.version.split()[0], torch_spline_conv.__version__)"
    printed = succeed(*words, "build", *cell, "with-exec", f'--args={PYTHON},-c,"{code}"', "stdout")
    assert printed.startswith("3.13.")
    assert printed.split()[1] == "0.1.0+pt01cu128"
