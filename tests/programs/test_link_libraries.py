"""link_libraries.py on a folder as NVIDIA's wheels make it, managed by the real uv and pip afterwards."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.programs.conftest import EPOCH, Run

SITE = "lib/python3.13/site-packages"
FILES = ("__init__.py", "cublas/lib/libcublas.so.12", "cublas/include/cublas_v2.h", "cu13/lib/libcudnn.so.9")


@pytest.fixture
def env(tmp_path: Path, run: Run) -> Path:
    """Make an environment whose libraries lie beside the folder of Python, with links to them."""
    root = tmp_path / "env"
    for name in FILES:
        (root / "lib/nvidia" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "lib/nvidia" / name).write_text(name)
    (root / "lib/nvidia/cublas/lib/libcublas.so").symlink_to("libcublas.so.12")
    (root / "lib/nvidia/cu13/lib64").symlink_to("lib")
    (root / SITE).mkdir(parents=True)
    links = root / SITE / "nvidia"
    env = {"SOURCE_DATE_EPOCH": EPOCH}
    run("link_libraries.py", root / "lib/nvidia", links, "--at", "../../nvidia", env=env)
    return root


def test_each_file_is_a_relative_link_in_a_real_folder(env: Path) -> None:
    links = env / SITE / "nvidia"
    for name in FILES:
        assert (links / name).is_symlink()
        assert not (links / name).parent.is_symlink()
        assert (links / name).read_text() == name
        assert (links / name).resolve() == env.resolve() / "lib/nvidia" / name
    assert os.readlink(links / FILES[1]) == "../../../../../nvidia/cublas/lib/libcublas.so.12"  # noqa: PTH115
    assert (links / "cublas/lib/libcublas.so").read_text() == FILES[1]
    assert (links / "cu13/lib64/libcudnn.so.9").read_text() == FILES[3]
    assert {path.lstat().st_mtime for path in (links, *links.rglob("*"))} == {float(EPOCH)}


def test_links_work_wherever_the_environment_lies(env: Path) -> None:
    moved = env.rename(env.parent / "moved")
    assert (moved / SITE / "nvidia/cublas/lib/libcublas.so.12").read_text() == FILES[1]


def test_two_runs_write_the_same_links(env: Path, tmp_path: Path, run: Run) -> None:
    run("link_libraries.py", env / "lib/nvidia", tmp_path / "again", "--at", "../../nvidia")
    done = subprocess.run(
        ["diff", "-r", "--no-dereference", tmp_path / "again", env / SITE / "nvidia"], check=False
    )
    assert done.returncode == 0


def test_a_missing_folder_is_a_line(tmp_path: Path, run: Run) -> None:
    done = run("link_libraries.py", tmp_path / "none", tmp_path / "links", "--at", "x", ok=False)
    assert done.stderr == f"link_libraries.py: error: no such folder: {tmp_path / 'none'}\n"


def wheel(folder: Path, version: str) -> Path:
    """Write a wheel with one library and a module; each version has other contents."""
    info = f"nvidia_cublas_cu12-{version}.dist-info"
    files = {
        "nvidia/cublas/lib/libcublas.so.12": version,
        "nvidia/cublas/version.py": f"version = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: nvidia-cublas-cu12\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    made = folder / f"nvidia_cublas_cu12-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in (files | {f"{info}/RECORD": rows}).items():
            archive.writestr(name, text)
    return made


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_uv_and_pip_replace_and_remove_what_is_behind_links(
    tmp_path: Path, run: Run, tools: Path, clean_env: dict[str, str], tool: str
) -> None:
    env = tmp_path / "env"
    subprocess.run(
        [sys.executable, "-m", "venv", *(["--without-pip"] if tool == "uv" else []), env], check=True
    )
    pip = [tools / "uv", "pip", "--no-cache", "--offline"] if tool == "uv" else [env / "bin/pip"]
    at = ["--python", env / "bin/python"] if tool == "uv" else ["--disable-pip-version-check"]

    def do(command: str, *words: object) -> None:
        given = [*pip, command, *at, *words]
        done = subprocess.run(
            [str(word) for word in given], env=clean_env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    do("install", "--no-index", "--no-deps", wheel(tmp_path, "12.8"))
    (site,) = env.glob("lib/python3*/site-packages")
    shutil.move(site / "nvidia", env / "lib/nvidia")
    run("link_libraries.py", env / "lib/nvidia", site / "nvidia", "--at", "../../nvidia")
    library = site / "nvidia/cublas/lib/libcublas.so.12"
    assert library.is_symlink()
    do("install", "--no-index", "--no-deps", wheel(tmp_path, "12.9"))
    assert (library.read_text(), library.is_symlink()) == ("12.9", False)
    assert (env / "lib/nvidia/cublas/lib/libcublas.so.12").read_text() == "12.8", (
        "what other links lead to stays"
    )
    do("uninstall", *(["-y"] if tool == "pip" else []), "nvidia-cublas-cu12")
    assert [path for path in (site / "nvidia").rglob("*") if not path.is_dir()] == []
