"""strip_libs.py on real libraries: scipy's OpenBLAS, which binutils 2.40 breaks, and ones compiled here."""

import base64
import csv
import ctypes.util
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import strip_libs
from common.elf import PT_LOAD, NotElfError, read_elf
from strip_libs import Loader

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.skipif(
    not (shutil.which("strip") and shutil.which("gcc")), reason="no binutils or gcc"
)

SITE = "lib/python3.13/site-packages"
# wheels with a library that binutils 2.40's strip breaks, and much that is stripped already
WHEELS = ("scipy==1.18.1", "numpy==2.5.5")


@pytest.fixture(scope="module")
def wheels(
    run: Run, tools: Path, clean_env: dict[str, str], channel: Path, short_root: Path
) -> Iterator[Path]:
    """An environment with scipy, as it was installed; tests strip copies of it."""
    folder = Path(tempfile.mkdtemp(prefix="c", dir=short_root))
    run("make_env.py", "create", "--prefix", folder / "env", "--channel", channel, "--pkgs-cache", folder / "pkgs",
        "--spec", "python=3.13.*", "pip")  # fmt: skip
    shutil.rmtree(folder / "pkgs")
    command: list[str | Path] = [
        tools / "uv",
        "pip",
        "install",
        "-q",
        "--link-mode",
        "copy",
        "--compile-bytecode",
    ]
    subprocess.run([*command, "--python", folder / "env/bin/python", *WHEELS], check=True, env=clean_env)
    yield folder / "env"
    shutil.rmtree(folder)


@pytest.fixture
def libraries(wheels: Path, short: Path) -> Path:
    """A copy of scipy.libs alone: OpenBLAS and the Fortran runtime."""
    shutil.copytree(wheels / SITE / "scipy.libs", short / "libs")
    return short / "libs"


def openblas(folder: Path) -> Path:
    return next(folder.rglob("libscipy_openblas-*.so"))


def loads(python: Path | str, path: Path) -> bool:
    command = [python, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", path]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def strip_breaks(python: Path, libraries: Path) -> bool:
    """Whether this machine's strip damages OpenBLAS (binutils 2.40 does, 2.44 does not)."""
    copy = libraries / "copy.so"
    subprocess.run(["strip", "--strip-unneeded", "-o", copy, openblas(libraries)], check=True)
    broken = not loads(python, copy)
    copy.unlink()
    return broken


def compile_library(folder: Path, name: str, source: str, *options: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.c").write_text(source)
    subprocess.run(
        ["gcc", "-g", "-shared", "-fPIC", *options, "-o", folder / name, folder / f"{name}.c"], check=True
    )
    return folder / name


def wrong_records(site: Path) -> list[str]:
    wrong = []
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(newline="") as file:
            for name, digest, size in csv.reader(file):
                if digest:
                    data = (site / name).read_bytes()
                    actual = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                    if (digest, int(size)) != (f"sha256={actual}", len(data)):
                        wrong.append(name)
    return wrong


def test_an_environment_survives(run: Run, wheels: Path, libraries: Path, short: Path) -> None:
    root = short / "env"
    shutil.copytree(wheels, root, symlinks=True)
    site = root / SITE
    assert wrong_records(site) == []
    before = {p: p.lstat() for p in root.rglob("*")}
    run("strip_libs.py", root, "--report", short / "report.json")
    report = json.loads((short / "report.json").read_text())

    stripped = {root / name for row in report["stripped"] for name in row["names"]}
    assert len(stripped) > 50
    assert all(row["loaded"] for row in report["stripped"] if row["path"].endswith(".so"))
    assert report["bytes_after"] < report["bytes_before"] - 5e6
    assert report["skipped"]["nothing to strip"] > 20
    for path, old in before.items():
        new = path.lstat()
        if path in stripped:
            assert new.st_size < old.st_size
            assert (new.st_mode, new.st_uid, new.st_mtime_ns) == (old.st_mode, old.st_uid, old.st_mtime_ns)
        elif path.name != "RECORD" and not path.is_dir():
            assert (new.st_ino, new.st_mtime_ns, new.st_size) == (old.st_ino, old.st_mtime_ns, old.st_size), (
                path
            )
    assert {p for p in root.rglob("*") if p.name != "__pycache__"} <= before.keys()  # nothing left behind

    restored = {row["path"]: row["reason"] for row in report["restored"]}
    if strip_breaks(wheels / "bin/python", libraries):
        assert [n for n in restored if "libscipy_openblas-" in n], restored
        assert all("aligned" in reason for reason in restored.values())
    assert wrong_records(site) == []
    assert report["record_lines"] > 50
    code = """
import numpy, scipy.linalg, scipy.optimize, scipy.sparse.linalg, scipy.special, scipy.stats, ssl, sqlite3
a = numpy.array([[2.0, 1.0], [1.0, 3.0]])
assert abs(scipy.linalg.inv(a) @ a - numpy.eye(2)).max() < 1e-12
assert scipy.optimize.minimize(lambda x: (x - 1) ** 2, [0.0]).success
"""
    subprocess.run([root / "bin/python", "-c", code], check=True)

    again = run("strip_libs.py", root)
    assert again.stdout.startswith("0 files: ")


def test_without_its_guards_it_breaks(wheels: Path, libraries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The damage is real, each of the two guards alone finds it, and with neither it goes through."""
    python = wheels / "bin/python"
    if not strip_breaks(python, libraries):
        pytest.skip("this strip does not damage the library")
    pristine = openblas(libraries).read_bytes()

    def kept() -> list[str]:
        report = strip_libs.strip_tree(libraries, "unneeded", 2, str(python))
        return [o.kept or "" for o in report.restored if "openblas" in o.path]

    def blind(_self: Loader, _paths: object) -> dict[Path, str]:
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "failures", blind)
        assert "aligned" in kept()[0]
    with monkeypatch.context() as patch:
        patch.setattr(strip_libs, "layout_damage", lambda _before, _after: None)
        assert "does not load" in kept()[0]
    assert openblas(libraries).read_bytes() == pristine
    assert loads(python, openblas(libraries))

    monkeypatch.setattr(Loader, "failures", blind)
    monkeypatch.setattr(strip_libs, "layout_damage", lambda _before, _after: None)
    assert kept() == []
    assert not loads(python, openblas(libraries))


def test_hard_links(short: Path) -> None:
    root = short / "root"
    first = compile_library(root / "a", "lib.so", "int x(void) { return 1; }")
    second, outside = root / "b/lib.so", short / "outside.so"
    second.parent.mkdir()
    second.hardlink_to(first)
    outside.hardlink_to(first)
    original = outside.read_bytes()
    report = strip_libs.strip_tree(root, "unneeded", 1, sys.executable)
    (outcome,) = report.stripped
    assert outcome.names == ["a/lib.so", "b/lib.so"]
    assert outcome.outside_links == 1
    assert first.stat().st_ino == second.stat().st_ino
    assert first.stat().st_size < len(original)
    assert outside.read_bytes() == original


def test_packages_behind_a_link_have_true_records_and_folders_their_times(short: Path) -> None:
    root = short / "root"
    site = root / "lib/python3.13/site-packages"
    library = compile_library(
        root / "lib/own", "lib.so", "static int h(void) { return 1; } int x(void) { return h(); }"
    )
    info = site / "own-1.dist-info"
    info.mkdir(parents=True)
    (site / "own").symlink_to("../../own")
    digest = base64.urlsafe_b64encode(hashlib.sha256(library.read_bytes()).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"own/lib.so,sha256={digest},{library.stat().st_size}\n")
    os.utime(library.parent, (1, 1))
    report = strip_libs.strip_tree(root, "unneeded", 1, sys.executable)
    assert report.records == 1
    assert wrong_records(site) == []
    assert library.parent.stat().st_mtime == 1


def test_what_is_left_alone(short: Path) -> None:
    """Archives, objects, files of other kinds, and programs that carry data behind themselves."""
    library = compile_library(short, "lib.so", "int x(void) { return 1; }")
    others = {
        "lib.a": b"!<arch>\n" + bytes(99),
        "cut.so": library.read_bytes()[:100],
        "text.so": b"INPUT(lib.so)" * 9,
        "data.so": library.read_bytes() + b"PK data",
    }
    for name, content in others.items():
        (short / name).write_bytes(content)
    subprocess.run(["gcc", "-g", "-c", "-o", short / "lib.o", short / "lib.so.c"], check=True)
    shutil.copy(short / "lib.o", short / "object.so")
    (short / "link.so").symlink_to("lib.so")
    before = {p: (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in short.iterdir()}
    report = strip_libs.strip_tree(short, "unneeded", 1, sys.executable)
    assert [o.path for o in report.stripped] == ["lib.so"]
    assert report.skipped["appended data"] == 1
    after = {p: (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in short.iterdir()}
    assert {p.name for p in after if after[p] != before[p]} == {"lib.so"}


def section_names(library: Path) -> set[str]:
    return {section.name for section in read_elf(library).sections}


def test_modes(short: Path) -> None:
    source = "static int hidden(void) { return 2; } int shown(void) { return hidden(); }"
    for mode in ("debug", "unneeded"):
        library = compile_library(short / mode, "lib.so", source, "-O0")
        assert {".debug_info", ".symtab"} <= section_names(library)
        strip_libs.strip_tree(short / mode, mode, 1, sys.executable)
        sections = section_names(library)
        assert ".debug_info" not in sections
        assert (".symtab" in sections) is (mode == "debug")
        assert loads(sys.executable, library)


def test_programs_are_stripped_and_still_run(short: Path) -> None:
    (short / "main.c").write_text("int main(void) { return 7; }")
    for name, options in (("pie", ["-pie"]), ("fixed", ["-no-pie"]), ("static", ["-static"])):
        subprocess.run(["gcc", "-g", *options, "-o", short / name, short / "main.c"], check=True)
    report = strip_libs.strip_tree(short, "unneeded", 2, sys.executable)
    assert {o.path for o in report.stripped} == {"pie", "fixed", "static"}
    for name in ("pie", "fixed", "static"):
        assert subprocess.run([short / name], check=False).returncode == 7


def test_one_bad_library_does_not_take_others_along(short: Path) -> None:
    """A library that ends its process, or never returns, is judged alone; what could not load need not."""
    constructor = (
        "#include <stdlib.h>\n#include <unistd.h>\n__attribute__((constructor)) void f(void) { %s; }"
    )
    good = [compile_library(short, f"good{i}.so", f"int x{i};") for i in range(3)]
    bad = {
        "abort": compile_library(short, "abort.so", constructor % "abort()"),
        "exit": compile_library(short, "exit.so", constructor % "_exit(0)"),
        "hang": compile_library(short, "hang.so", constructor % "sleep(60)"),
        "lacks": compile_library(short, "lacks.so", "int nowhere(void); int g(void) { return nowhere(); }"),
    }
    failures = Loader(sys.executable, timeout=10).failures([bad["abort"], good[0], bad["exit"], good[1], bad["hang"],
                                                           bad["lacks"], good[2]])  # fmt: skip
    assert failures.keys() == set(bad.values())
    assert "ended with -6" in failures[bad["abort"]]
    assert "not loaded after 10 s" in failures[bad["hang"]]
    assert "nowhere" in failures[bad["lacks"]]

    bad.pop("hang").unlink()
    report = strip_libs.strip_tree(short, "unneeded", 2, sys.executable)
    assert {o.path: o.loaded for o in report.stripped} == {
        **{p.name: True for p in good},
        **{p.name: False for p in bad.values()},
    }


def test_layout_damage() -> None:
    found = ctypes.util.find_library("z") or "libz.so.1"
    path = next(
        Path(d, found)
        for d in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
        if Path(d, found).exists()
    )
    elf = read_elf(path)
    assert strip_libs.layout_damage(elf, elf) is None
    shifted = tuple(replace(s, offset=s.offset + 16) if s.kind == PT_LOAD else s for s in elf.segments)
    assert "no longer aligned" in (strip_libs.layout_damage(elf, replace(elf, segments=shifted)) or "")
    assert "beyond the file" in (strip_libs.layout_damage(elf, replace(elf, size=100)) or "")
    assert "became 0" in (strip_libs.layout_damage(elf, replace(elf, segments=())) or "")


def test_a_strip_that_fails_or_lies(short: Path) -> None:
    library = compile_library(short / "root", "lib.so", "int x(void) { return 1; }")
    original = library.read_bytes()
    for script, reason in (
        ("echo 'strip: no way' >&2; exit 1", "strip: no way"),
        ('head -c 200 "$4" > "$3"', "damaged headers"),
        ('echo text > "$3"', "not a 64-bit"),
        ('cat "$4" > "$3"', "not smaller"),
    ):
        fake = short / "strip"
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        report = strip_libs.strip_tree(short / "root", "unneeded", 1, sys.executable, str(fake))
        assert [reason in (o.kept or "") for o in report.files] == [True]
        assert library.read_bytes() == original
        assert sorted(p.name for p in (short / "root").iterdir()) == ["lib.so", "lib.so.c"]


def test_errors_are_one_line(run: Run, short: Path) -> None:
    assert "is not a folder" in run("strip_libs.py", short / "no", ok=False).stderr
    assert "Debian: binutils" in run("strip_libs.py", short, "--strip", "/no/strip", ok=False).stderr
    compile_library(short, "lib.so", "int x;")
    assert "does not run" in run("strip_libs.py", short, "--python", "/bin/false", ok=False).stderr
    assert "No such file" in run("strip_libs.py", short, "--python", "/no/python", ok=False).stderr
    with pytest.raises(NotElfError):
        read_elf(short / "lib.so.c")
