"""place_ffmpeg.py on small libraries that need each other as torchcodec's and PyAV's do, loaded by a real loader."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.conftest import PROGRAMS

SITE = "lib/python3.13/site-packages"
HASHED = {
    "libavutil": "libavutil-11111111.so.60.1.100",
    "libavcodec": "libavcodec-22222222.so.62.1.100",
    "libx264": "libx264-33333333.so.165",
}
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


def library(path: Path, value: str, *needs: Path, soname: str = "", rpath: str = "") -> None:
    """Make a library with one function, which adds to a number what the libraries that it needs give."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_name(f"{path.name}.c")
    names = [need.name.split("-")[0].split(".")[0] for need in needs]
    declared = "".join(f"int {name}(void);" for name in names)
    own = path.name.split("-")[0].split(".")[0]
    source.write_text(
        f"{declared} int {own}(void) {{ return {' + '.join([value, *(f'{n}()' for n in names)])}; }}"
    )
    flags = [
        f"-Wl,-soname,{soname or path.name}",
        *([f"-Wl,--disable-new-dtags,-rpath,{rpath}"] if rpath else []),
    ]
    allow = ["-Wl,--allow-shlib-undefined", "-Wl,--no-as-needed"]
    subprocess.run(
        ["gcc", "-shared", "-fPIC", *flags, *allow, "-o", path, source, *map(str, needs)], check=True
    )
    source.unlink()


def program(path: Path, rpath: str) -> None:
    """Make the interpreter: it loads what it is given, and prints what the function in it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_name("main.c")
    source.write_text(
        "#include <dlfcn.h>\n#include <stdio.h>\nint main(int n, char **words) {"
        " void *l = dlopen(words[1], RTLD_NOW); if (!l) { puts(dlerror()); return 1; }"
        ' printf("%d\\n", ((int (*)(void)) dlsym(l, words[2]))()); return 0; }'
    )
    flags = [f"-Wl,--disable-new-dtags,-rpath,{rpath}"] if rpath else []
    subprocess.run(["gcc", "-o", path, source, *flags, "-ldl"], check=True)
    source.unlink()


def make_env(root: Path, *, majors: tuple[int, ...] = (8, 7), rpath: str = "$ORIGIN/../lib") -> Path:
    """Make an environment: an interpreter, PyAV's libraries, and torchcodec's for some versions of FFmpeg."""
    bundled = root / SITE / "av.libs"
    library(bundled / HASHED["libx264"], "100")
    library(bundled / HASHED["libavutil"], "10")
    needs = [bundled / HASHED[name] for name in ("libavutil", "libx264")]
    library(bundled / HASHED["libavcodec"], "1", *needs, rpath="$ORIGIN")
    for major in majors:
        plain = root / "plain" / str(major)
        for name, first in (("libavutil", 52), ("libavcodec", 54)):
            library(plain / f"{name}.so.{first + major}", "0")
        core = root / SITE / f"torchcodec/libtorchcodec_core{major}.so"
        library(core, "1000", *sorted(plain.iterdir()))
        shutil.rmtree(plain)
    program(root / "bin/python3.13", rpath)
    (root / "bin/python").symlink_to("python3.13")
    return root


def place(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, str(PROGRAMS / "place_ffmpeg.py"), str(root), SITE]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def load(root: Path) -> subprocess.CompletedProcess[str]:
    """Load torchcodec's library by the environment's interpreter."""
    core = root / SITE / "torchcodec/libtorchcodec_core8.so"
    command = [str(root / "bin/python"), str(core), "libtorchcodec_core8"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_torchcodec_finds_the_libraries_of_pyav(tmp_path: Path) -> None:
    root = make_env(tmp_path / "env")
    assert "libavcodec.so.62" in load(root).stdout, "not found before"
    assert place(root).stderr == ""
    assert load(root).stdout == "1121\n"


def test_links_are_relative_and_hold_no_second_copy(tmp_path: Path) -> None:
    root = make_env(tmp_path / "env")
    place(root)
    links = {path.name: path for path in (root / "lib").iterdir() if path.is_symlink()}
    assert set(links) == {"libavutil.so.60", "libavcodec.so.62", *HASHED.values()}
    assert not any(path.readlink().is_absolute() for path in links.values())
    assert load(root.rename(tmp_path / "moved")).stdout == "1121\n"


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    root = make_env(tmp_path / "env")
    found = []
    for _ in range(2):
        assert place(root).returncode == 0
        found.append({path.name: path.readlink() for path in (root / "lib").iterdir() if path.is_symlink()})
    assert found[0] == found[1]


def test_an_interpreter_that_says_nothing_of_its_folder_needs_a_changed_torchcodec(tmp_path: Path) -> None:
    if shutil.which("patchelf") is None:
        pytest.skip("no patchelf")
    root = make_env(tmp_path / "env", rpath="")
    info = root / SITE / "torchcodec-1.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("torchcodec/libtorchcodec_core8.so,sha256=old,1\n")
    assert place(root).stderr == ""
    assert load(root).stdout == "1121\n"
    assert "sha256=old" not in (info / "RECORD").read_text()


def test_an_ffmpeg_that_torchcodec_does_not_take_is_named(tmp_path: Path) -> None:
    done = place(make_env(tmp_path / "env", majors=(6, 7)))
    assert done.returncode == 1
    assert done.stderr == (
        "place_ffmpeg.py: error: PyAV has libavcodec.so.62, torchcodec takes libavcodec.so.60, libavcodec.so.61: "
        "pin others\n"
    )


def test_a_library_of_another_package_is_not_replaced(tmp_path: Path) -> None:
    root = make_env(tmp_path / "env")
    (root / "lib/libavcodec.so.62").write_text("conda's")
    done = place(root)
    assert done.returncode == 1
    assert "libavcodec.so.62 is there already, of another package" in done.stderr
    assert (root / "lib/libavcodec.so.62").read_text() == "conda's"
