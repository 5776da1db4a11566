"""What goes into a bundle of Python packages: real uv and pip against an index on loopback."""

import hashlib
import io
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import collect_packages
from tests.stand_ins import packages, servers


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve an index with two versions of a package, one that needs it, and one that is a source archive."""
    simple = tmp_path / "served/simple"
    for name in ("needed", "wanted", "sourced", "builder"):
        (simple / name).mkdir(parents=True)
    packages.wheel(simple / "needed", "needed", "1.0")
    packages.wheel(simple / "needed", "needed", "2.0")
    packages.wheel(simple / "wanted", "wanted", "1.0", requires=("needed",))
    packages.wheel(simple / "builder", "builder", "3.0", {"builder.py": BACKEND})
    with tarfile.open(simple / "sourced/sourced-1.0.tar.gz", "w:gz") as archive:
        for path, text in SOURCED.items():
            entry = tarfile.TarInfo(f"sourced-1.0/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with servers.folder_over_http(tmp_path / "served") as port:
        address = f"http://127.0.0.1:{port}/simple"
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        yield simple


# A build backend that makes metadata and nothing else.
BACKEND = """
import os
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = "sourced-1.0.dist-info"
    os.mkdir(os.path.join(folder, info))
    with open(os.path.join(folder, info, "METADATA"), "w") as out:
        out.write("Metadata-Version: 2.1\\nName: sourced\\nVersion: 1.0\\n")
    return info
def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise RuntimeError("nothing is built when packages are collected")
"""
SOURCED = {
    "pyproject.toml": '[build-system]\nrequires = ["builder"]\nbuild-backend = "builder"\n',
    "PKG-INFO": "Metadata-Version: 2.2\nName: sourced\nVersion: 1.0\n",
}


def collect(tmp_path: Path, requirements: str, *options: str) -> tuple[int, list[str], str]:
    """Run the program; return its status, the names of what it collected, and the pins."""
    asked, out, pins = tmp_path / "requirements.txt", tmp_path / "out", tmp_path / "pins.txt"
    asked.write_text(requirements)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv
    words = [
        out,
        "--requirements",
        asked,
        "--python",
        sys.executable,
        "--uv",
        uv,
        "--cache",
        tmp_path / "pip",
    ]
    status = collect_packages.main([*map(str, words), "--pins", str(pins), *options])
    return (
        status,
        sorted(path.name for path in out.glob("*")),
        pins.read_text() if pins.exists() else "",
    )


@pytest.mark.usefixtures("index")
def test_what_is_not_locked_comes_as_uv_resolves_it(tmp_path: Path) -> None:
    status, names, pins = collect(tmp_path, "wanted\n")
    assert (status, names) == (0, ["needed-2.0-py3-none-any.whl", "wanted-1.0-py3-none-any.whl"])
    assert pins.split() == ["needed==2.0", "wanted==1.0"]


@pytest.mark.usefixtures("index")
def test_the_versions_of_the_stages_below_are_kept(tmp_path: Path) -> None:
    (tmp_path / "below.txt").write_text("needed==1.0\n")
    status, names, _ = collect(tmp_path, "wanted\n", "--constraint", str(tmp_path / "below.txt"))
    assert (status, names) == (0, ["needed-1.0-py3-none-any.whl", "wanted-1.0-py3-none-any.whl"])


def test_a_lock_is_taken_as_it_is_and_its_hashes_count(tmp_path: Path, index: Path) -> None:
    wheel = index / "needed/needed-1.0-py3-none-any.whl"
    line = f"needed==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    status, names, pins = collect(tmp_path, line, "--hashed")
    assert (status, names, pins) == (0, [wheel.name], "needed==1.0\n")
    shutil.rmtree(tmp_path / "out")
    status, names, _ = collect(tmp_path, f"needed==1.0 --hash=sha256:{'0' * 64}\n", "--hashed")
    assert (status, names) == (1, [])


@pytest.mark.usefixtures("index")
def test_a_source_archive_brings_what_builds_it(tmp_path: Path) -> None:
    status, names, pins = collect(tmp_path, "sourced\n")
    assert (status, names) == (0, ["builder-3.0-py3-none-any.whl", "sourced-1.0.tar.gz"])
    assert pins == "sourced==1.0\n"


@pytest.mark.usefixtures("index")
def test_a_package_that_no_index_has_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, names, _ = collect(tmp_path, "needed==7.0\n")
    assert (status, names) == (1, [])
    assert capsys.readouterr().err.splitlines()[-1].startswith("collect_packages.py: error: uv failed (1): ")


def test_what_a_source_archive_says_of_its_build(tmp_path: Path) -> None:
    silent = tmp_path / "silent-1.0.zip"
    with zipfile.ZipFile(silent, "w") as archive:
        archive.writestr("silent-1.0/setup.py", "")
        archive.writestr("silent-1.0/deep/pyproject.toml", '[build-system]\nrequires = ["other"]\n')
    assert collect_packages.build_requirements(silent) == ("setuptools>=40.8.0", "wheel")
    assert collect_packages.build_requirements(tmp_path / "any-1.0-py3-none-any.whl") == ()
