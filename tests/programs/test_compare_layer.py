"""compare_layer.py on a small environment, its base and a layer on top."""

import json
from pathlib import Path

import pytest

from tests.programs.conftest import Run

SITE = "lib/python3.13/site-packages"
BELOW = (
    "bin/python",
    f"{SITE}/six.py",
    f"{SITE}/torch/__init__.py",
    f"{SITE}/torch/lib/libtorch.so",
    f"{SITE}/google/auth/__init__.py",
    f"{SITE}/numpy.libs/libblas.so",
    f"{SITE}/torch-2.11.0.dist-info/METADATA",
    "lib/python3.13/os.py",
    "lib/libz.so.1",
    "share/doc/torch/README",
)
ADDED = (
    "LICENSE",
    "bin/ray",
    "share/doc/ray/README",
    "etc/jupyter/ray.json",
    f"{SITE}/ray/__init__.py",
    f"{SITE}/ray/__pycache__/__init__.cpython-313.pyc",
    f"{SITE}/mmh3.cpython-313-x86_64-linux-gnu.so",
    f"{SITE}/google/protobuf/__init__.py",
    f"{SITE}/cloudpickle.py",
    f"{SITE}/__pycache__/cloudpickle.cpython-313.pyc",
    f"{SITE}/google/protobuf/__pycache__/__init__.cpython-313.pyc",
    f"{SITE}/google/auth/__pycache__/of_no_source.cpython-313.pyc",
    f"{SITE}/ray-2.60.0.dist-info/RECORD",
)


def write(root: Path, *names: str) -> Path:
    """Write a file by each name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """Return a layer that only adds, beside the tree and the base that it is put on."""
    write(tmp_path / "base", "usr/bin/gcc")
    below = write(tmp_path / "below", *BELOW)
    (below / SITE / "nvidia/cublas").mkdir(parents=True)
    (below / SITE / "nvidia/cublas/libcublas.so").symlink_to("../../../../nvidia/cublas/libcublas.so")
    write(tmp_path / "libraries", "lib/nvidia/cublas/libcublas.so")
    return write(tmp_path / "layer", *ADDED)


def changes(run: Run, layer: Path) -> list[str]:
    """Return what the program prints."""
    trees = [layer.parent / name for name in ("below", "libraries")]
    given = (layer, "--below", *trees, "--base", layer.parent / "base", "--packages", SITE)
    done = run("compare_layer.py", *given, "--path", "/opt/env/bin:/usr/bin:/bin")
    found: list[str] = json.loads(done.stdout)["changes"]
    return found


def test_a_layer_that_only_adds_changes_nothing(run: Run, layer: Path) -> None:
    assert changes(run, layer) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bin/python", "replaces bin/python"),
        ("lib/libz.so.1", "replaces lib/libz.so.1"),
        ("lib/nvidia/cublas/libcublas.so", "replaces lib/nvidia/cublas/libcublas.so"),
        (f"{SITE}/six.py/file", f"replaces {SITE}/six.py"),
        (f"{SITE}/nvidia/cublas/libcublas.so", f"replaces {SITE}/nvidia/cublas/libcublas.so"),
        (f"{SITE}/a.pth", "runs a.pth as Python starts"),
        (f"{SITE}/sitecustomize.py", "runs sitecustomize.py as Python starts"),
        (f"{SITE}/usercustomize/__init__.py", "runs usercustomize as Python starts"),
        (f"{SITE}/six/__init__.py", "shadows the module six"),
        (f"{SITE}/torch.so", "shadows the module torch"),
        (f"{SITE}/torch/more.py", "adds to torch"),
        (f"{SITE}/torch/lib/libmore.so", "adds to torch"),
        (f"{SITE}/numpy.libs/libmore.so", "adds to numpy.libs"),
        (f"{SITE}/torch-2.11.0.dist-info/direct_url.json", "adds to torch-2.11.0.dist-info"),
        (f"{SITE}/google/__init__.py", "shadows google.__init__"),
        (f"{SITE}/google/auth.py", "shadows google.auth"),
        (f"{SITE}/google/auth/more.py", "adds to google/auth"),
        ("bin/gcc", "hides the command gcc"),
        ("pyvenv.cfg", "adds pyvenv.cfg"),
        ("lib/python3.13/more.py", "adds lib/python3.13/more.py"),
        ("lib/libmore.so", "adds lib/libmore.so"),
        ("include/more.h", "adds include"),
        (f"{SITE}/__pycache__/six.cpython-313.pyc", f"compiles {SITE}/six.py anew"),
        (f"{SITE}/torch/__pycache__/__init__.cpython-313.pyc", f"compiles {SITE}/torch/__init__.py anew"),
    ],
)
def test_a_change_is_named(run: Run, layer: Path, name: str, change: str) -> None:
    write(layer, name)
    assert changes(run, layer) == [change]


def test_a_link_over_a_folder_replaces_it(run: Run, layer: Path) -> None:
    (layer / SITE / "torch").symlink_to("ray")
    assert changes(run, layer) == [f"replaces {SITE}/torch"]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("console_scripts", []),
        ("distutils.setup_keywords", []),
        ("torch.backends", ["is a plugin of torch: ray-2.60.0.dist-info"]),
        ("torch_dynamo_backends", ["is a plugin of torch: ray-2.60.0.dist-info"]),
    ],
)
def test_plugins_of_packages_below_are_changes(
    run: Run, layer: Path, group: str, expected: list[str]
) -> None:
    (layer / SITE / "ray-2.60.0.dist-info/entry_points.txt").write_text(f"[{group}]\nray = ray:run [all]\n")
    assert changes(run, layer) == expected
