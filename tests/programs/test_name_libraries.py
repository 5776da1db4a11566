"""name_libraries.py on folders as wheels and toolkits have them, and the real linker on what it writes."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.programs.conftest import EPOCH, Run

SYSTEM = "usr/lib/x86_64-linux-gnu"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Make the wheels' folder with real libraries, and the file system of a base with a toolkit."""
    wheels, home = tmp_path / "nvidia", tmp_path / "base/usr/local/cuda"
    for folder, name in (("cublas/lib", "libcublas.so.12"), ("cudnn/lib", "libcudnn.so.9")):
        (wheels / folder).mkdir(parents=True)
        source = tmp_path / "one.c"
        source.write_text(f"int {name[3:].split('.')[0]}Create(void) {{ return 7; }}\n")
        given = [
            "gcc",
            "-shared",
            "-fPIC",
            f"-Wl,-soname,{name}",
            "-o",
            str(wheels / folder / name),
            str(source),
        ]
        subprocess.run(given, check=True)
    (wheels / "cudnn/include").mkdir()
    (wheels / "cudnn/include/cudnn.h").write_text("int cudnnCreate(void);\n")
    (wheels / "cudnn/include/cuda.h").write_text("of the wheel")
    (wheels / "cudnn/include/__init__.py").write_text("")
    (wheels / "cublas/lib/stubs").mkdir()
    (wheels / "cublas/lib/stubs/libstub.so").write_text("")
    for name in ("lib/libcudart.so.12", "lib/stubs/libcuda.so", "include/cuda.h"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("of the toolkit")
    (home / "lib64").symlink_to("lib")
    (tmp_path / "base" / SYSTEM).mkdir(parents=True)
    return tmp_path


def names(made: Path, run: Run) -> dict[str, str]:
    """Run the program, and return what each link leads to, by its path."""
    out = made / "out"
    given = ("--at", made / "nvidia", "--base", made / "base", "--home", "/usr/local/cuda")
    run("name_libraries.py", made / "nvidia", out, *given, env={"SOURCE_DATE_EPOCH": EPOCH})
    assert {path.lstat().st_mtime for path in (out, *out.rglob("*"))} == {float(EPOCH)}
    return {str(path.relative_to(out)): str(path.readlink()) for path in out.rglob("*") if path.is_symlink()}


def test_both_names_of_each_library_are_where_compilers_look(made: Path, run: Run) -> None:
    found = names(made, run)
    cublas = str(made / "nvidia/cublas/lib/libcublas.so.12")
    for folder in ("usr/local/cuda/lib", SYSTEM):
        assert found[f"{folder}/libcublas.so"] == found[f"{folder}/libcublas.so.12"] == cublas
    assert found[f"{SYSTEM}/libcudart.so.12"] == "/usr/local/cuda/lib64/libcudart.so.12"
    assert not [name for name in found if "stub" in name or name.endswith("libcuda.so")]


def test_headers_that_the_toolkit_lacks_are_there(made: Path, run: Run) -> None:
    headers = {name: to for name, to in names(made, run).items() if "include" in name}
    assert headers == {"usr/local/cuda/include/cudnn.h": str(made / "nvidia/cudnn/include/cudnn.h")}


def test_a_name_that_is_there_stays(made: Path, run: Run) -> None:
    (made / "base/usr/local/cuda/lib/libcublas.so").symlink_to("anywhere")
    (made / "base" / SYSTEM / "libcudnn.so").write_text("Debian's")
    found = names(made, run)
    assert "usr/local/cuda/lib/libcublas.so" not in found
    assert f"{SYSTEM}/libcudnn.so" not in found
    assert found[f"{SYSTEM}/libcublas.so"] == "/usr/local/cuda/lib64/libcublas.so", "one that the toolkit has"


def test_links_go_where_the_bases_own_links_lead(made: Path, run: Run) -> None:
    local = made / "base/usr/local"
    (local / "cuda").rename(local / "cuda-12.8")
    (made / "base/etc/alternatives").mkdir(parents=True)
    (made / "base/etc/alternatives/cuda").symlink_to("/usr/local/cuda-12.8")
    (local / "cuda").symlink_to("/etc/alternatives/cuda")
    found = names(made, run)
    assert "usr/local/cuda-12.8/lib/libcublas.so" in found
    assert not [name for name in found if name.startswith("usr/local/cuda/")]


def test_a_program_links_and_runs_with_them(made: Path, run: Run) -> None:
    names(made, run)
    source, folder = made / "main.c", made / "out" / SYSTEM
    source.write_text(
        "int cublasCreate(void);\n#include <cudnn.h>\nint main(void) { return cublasCreate() + cudnnCreate(); }\n"
    )
    include = made / "out/usr/local/cuda/include"
    words = ["gcc", "-I", str(include), "-o", str(made / "main"), str(source), "-lcublas", "-lcudnn"]
    bare = subprocess.run(words, check=False, capture_output=True, text=True)
    assert "cannot find -lcublas" in bare.stderr
    subprocess.run(words, check=True, env=os.environ | {"LIBRARY_PATH": str(folder)})
    done = subprocess.run([made / "main"], check=False, env={"LD_LIBRARY_PATH": str(folder)})
    assert done.returncode == 14


def test_on_a_base_without_toolkit_nothing_is_named(made: Path, run: Run) -> None:
    (made / "base/usr/local/cuda/lib64").unlink()
    assert names(made, run) == {}
