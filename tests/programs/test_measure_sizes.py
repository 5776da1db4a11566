"""measure_sizes.py on a small root with real libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from measure_sizes import kind_of
from tests.programs.conftest import PROGRAMS

SITE = "opt/env/lib/python3.13/site-packages"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a root with a package of each manager, and a file of none."""
    top = tmp_path / "root"
    files = {
        "usr/bin/tool": "t" * 10,
        "opt/env/lib/libconda.txt": "c" * 20,
        f"{SITE}/pkg/__init__.py": "p" * 30,
        f"{SITE}/pkg/include/x.h": "h" * 5,
        f"{SITE}/pkg/tests/data": "d" * 7,
        "srv/lost": "l" * 3,
        "usr/local/cuda/bin/nvcc": "n" * 11,
    }
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    lists = top / "var/lib/dpkg/info"
    lists.mkdir(parents=True)
    (lists / "tool:amd64.list").write_text("/.\n/bin\n/bin/tool\n")
    meta = top / "opt/env/conda-meta"
    meta.mkdir()
    (meta / "one-1-0.json").write_text(json.dumps({"name": "one", "files": ["lib/libconda.txt"]}))
    info = top / SITE / "my_pkg-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("pkg/__init__.py,,\npkg/include/x.h,,\npkg/tests/data,,\n")
    return top


def ledger(root: Path, *options: str) -> dict[str, Any]:
    """Run the program."""
    command = [sys.executable, str(PROGRAMS / "measure_sizes.py"), str(root), *options]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return found


def test_every_byte_is_counted_once(root: Path) -> None:
    os.link(root / "srv/lost", root / "srv/again")
    found = ledger(root)
    sizes = {path.lstat().st_ino: path.lstat().st_size for path in root.rglob("*") if not path.is_dir()}
    assert found["total"] == sum(sizes.values())
    for table in ("packages", "kinds"):
        assert sum(found[table].values()) == found["total"], table
    assert sum(row[-1] for row in found["rows"]) == found["total"]


def test_owners_are_those_of_their_managers(root: Path) -> None:
    packages = ledger(root)["packages"]
    assert packages["debian:tool"] == 10, "/bin is a link to /usr/bin"
    assert packages["conda:one"] == 20
    assert packages["pip:my-pkg"] == 42
    assert packages["toolkit"] == 11
    assert "unowned" in packages


def test_a_layer_of_the_environment_alone_is_counted_like_it(root: Path) -> None:
    whole, layer = ledger(root)["packages"], ledger(root / "opt/env", "--at", "opt/env")["packages"]
    names = ("conda:one", "pip:my-pkg", "environment")
    assert {name: layer[name] for name in names} == {name: whole[name] for name in names}
    assert set(layer) == set(names)


def test_a_layer_whose_packages_list_their_files_elsewhere_is_counted_by_them(root: Path) -> None:
    shared = root / "opt/env/lib/pkg"
    (root / SITE / "pkg").rename(shared)
    (root / SITE / "pkg").symlink_to("../../pkg")
    found = ledger(shared, "--at", "opt/env/lib/pkg", "--lists", str(root / "opt/env"))
    assert found["packages"] == {"pip:my-pkg": 42}


def test_files_behind_links_and_bytecode_are_their_packages(root: Path) -> None:
    before = ledger(root)["packages"]["pip:my-pkg"]
    shared = root / "opt/env/lib/shared"
    (root / SITE / "pkg/inner").mkdir()
    (root / SITE / "pkg/inner/data").symlink_to("../../../../shared/data")
    shared.mkdir()
    (shared / "data").write_text("d" * 100)
    cached = root / SITE / "pkg/__pycache__/__init__.cpython-313.pyc"
    cached.parent.mkdir(exist_ok=True)
    cached.write_text("c" * 1000)
    with next((root / SITE).glob("my_pkg*.dist-info/RECORD")).open("a") as record:
        record.write("pkg/inner/data,,\npkg/__init__.py,,\n")
    assert ledger(root)["packages"]["pip:my-pkg"] >= before + 1100


def test_parts_of_a_library_tell_what_strip_would_take(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "one.c"
    # The array takes a megabyte of memory, and no byte of the file.
    source.write_text(
        "int array[250000];\n"
        "static int hidden(int x) { return array[x]; }\nint shown(int x) { return hidden(x); }\n"
    )
    library = root / SITE / "pkg/one.so"
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-o", library, source], check=True)
    parts = ledger(root)["elf"]
    assert {"code", "data", "symbols", "debug"} <= set(parts)
    assert sum(parts.values()) == library.stat().st_size < 100_000
    subprocess.run(["strip", library], check=True)
    assert not {"symbols", "debug"} & set(ledger(root)["elf"])


def test_a_broken_library_stops_nothing(root: Path) -> None:
    (root / SITE / "pkg/broken.so").write_bytes(b"\x7fELF\x02\x01" + b"\xff" * 200)
    assert ledger(root)["kinds"]["library"] == 206


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/x.pyc", "bytecode"),
        ("a/tests/x.py", "test"),
        ("a/latest/x.py", "python"),
        ("a/include/x", "header"),
        ("a/libx.a", "archive"),
        ("share/man/man1/x.1", "documentation"),
        ("a/x.json", "other"),
    ],
)
def test_kinds(path: str, kind: str) -> None:
    assert kind_of(path) == kind
