"""compile_env.py on small environments for the Python that runs the tests."""

import importlib.util
import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.programs.conftest import PROGRAMS

PREFIX = "/opt/env"
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"{LIBRARY}/site-packages"
MODULES = {
    f"{LIBRARY}/standard.py": "x = 1\n",
    f"{SITE}/single.py": "y = {'a', 'b', 'c'}\n",
    f"{SITE}/pkg/__init__.py": "names = 'one' in {'one', 'two', 'three', 'four'}\n",
    f"{SITE}/pkg/big/data.py": "z = 3 in {1, 2, 3}\n",
    f"{SITE}/pkg/template.py": "{{ not python }} here\n",
}


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """Make an environment whose files have an old time, beside what belongs to another Python."""
    root = tmp_path / "env"
    for name, text in (MODULES | {"lib/python2.7/site-packages/old.py": "", "share/setup.py": ""}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        os.utime(root / name, (1000, 1000))
    (root / SITE / "linked").mkdir()
    (root / SITE / "linked/module.py").symlink_to("../pkg/__init__.py")
    for folder, _, _ in os.walk(root):
        os.utime(folder, (2000, 2000))
    return root


def compile_env(root: Path, *words: str, seed: str = "0") -> str:
    """Run the program as an image does, and return what it prints."""
    command = [sys.executable, "-B", str(PROGRAMS / "compile_env.py"), str(root), "--prefix", PREFIX, *words]
    env = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def compiled(root: Path) -> dict[str, bytes]:
    """Return the bytecode in a tree by the paths of its modules."""
    return {
        str(Path(importlib.util.source_from_cache(str(path))).relative_to(root)): path.read_bytes()
        for path in root.rglob("*.pyc")
    }


def run_python(root: Path, program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(root / SITE)!r}); {program}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_valid_module_of_this_python_is_compiled(env: Path) -> None:
    said = compile_env(env)
    assert sorted(compiled(env)) == sorted(name for name in MODULES if "template" not in name)
    assert "4 modules" in said
    assert f"without bytecode: {SITE}/pkg/template.py: SyntaxError" in said


def test_python_takes_the_bytecode_without_a_look_at_the_source(env: Path) -> None:
    compile_env(env)
    flags = {name: int.from_bytes(data[4:8], "little") for name, data in compiled(env).items()}  # PEP 552
    assert flags.pop(f"{SITE}/single.py") == 0b11
    assert set(flags.values()) == {0b01}
    (env / SITE / "pkg/__init__.py").write_text("names = 'changed'\n")
    assert run_python(env, "import pkg; print(pkg.names)").stdout == "True\n"


def test_a_module_in_the_folder_that_packages_share_is_compared_with_its_source(env: Path) -> None:
    compile_env(env)
    (env / SITE / "single.py").write_text("y = 'changed'\n")
    assert run_python(env, "import single; print(single.y)").stdout == "changed\n"


def test_bytecode_names_the_place_where_the_module_is_used(env: Path) -> None:
    compile_env(env)
    names = {name: marshal.loads(data[16:]).co_filename for name, data in compiled(env).items()}  # noqa: S302
    assert names == {name: f"{PREFIX}/{name}" for name in compiled(env)}


@pytest.mark.parametrize("order", [("1", "3"), ("3", "1")])
def test_compiling_again_anywhere_gives_the_same_bytes(
    env: Path, tmp_path: Path, order: Sequence[str]
) -> None:
    again = tmp_path / "somewhere" / "else"
    shutil.copytree(env, again, symlinks=True)
    compile_env(env, "--jobs", order[0], seed="1")
    compile_env(again, "--jobs", order[1], seed="2")
    assert compiled(env) == compiled(again)
    assert len(compiled(env)) == 4


def test_bytecode_has_its_sources_time_and_folders_keep_theirs(env: Path) -> None:
    compile_env(env)
    assert {path.stat().st_mtime for path in env.rglob("*.pyc")} == {1000}
    assert {Path(folder).stat().st_mtime for folder, _, _ in os.walk(env)} == {2000}


def test_what_a_pattern_names_is_left_without(env: Path) -> None:
    compile_env(env, "--without", "lib/python3.*/site-packages/pkg/big/**", f"{LIBRARY}/standard.py")
    assert sorted(compiled(env)) == [f"{SITE}/pkg/__init__.py", f"{SITE}/single.py"]


def test_bytecode_of_an_older_source_is_replaced(env: Path) -> None:
    compile_env(env)
    (env / SITE / "single.py").write_text("y = 'new'\n")
    (env / SITE / "pkg/__init__.py").write_text("not python either\n")
    compile_env(env)
    assert run_python(env, "import single; print(single.y)").stdout == "new\n"
    assert f"{SITE}/pkg/__init__.py" not in compiled(env)


def test_a_path_that_is_no_folder_is_refused_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAMS / "compile_env.py"), str(tmp_path / "none"), "--prefix", PREFIX]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"compile_env.py: error: no such folder: {tmp_path / 'none'}"]
