"""make_interpreter.py: a CPython out of the project's own recipe, and a standalone build that a real uv fetches."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import make_interpreter
from ci.config.locks import read_locks
from ci.config.matrix import default_matrix
from common.errors import UserError
from tests.programs.conftest import PROGRAMS, Run
from tests.stand_ins.servers import folder_over_http

PYTHON = "3.14"
GITHUB = "https://github.com/astral-sh/python-build-standalone/releases/download"
BUILD = "20260101"
ARCHIVE = f"cpython-3.14.3+{BUILD}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"

Works = Callable[[Path], None]


@pytest.fixture(scope="module")
def tree(run: Run, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CPython that was made for the place that standalone builds are made for."""
    folder = tmp_path_factory.mktemp("interpreter")
    make(run, parts, folder / "tree", "/install", folder)
    return folder / "tree"


def make(run: Run, parts: Path, out: Path, at: str, folder: Path) -> None:
    """Make the interpreter as it lies at a place."""
    found = read_locks().interpreter(PYTHON)
    assert found
    (recipe := folder / "recipe.json").write_text(found[0], "utf-8")
    given = [f"--{kind}={parts / kind}" for kind in ("jars", "debs")]
    run("make_interpreter.py", "made", out, "--at", at, "--recipe", recipe, *given)


def with_pip(prefix: Path, tools: Path, env: dict[str, str], *lines: str) -> None:
    """Install pip as the stage does: by uv, with its hash where there is one."""
    (asked := prefix.parent / "pip.txt").write_text("".join(lines) or "pip\n", "utf-8")
    hashes = ["--require-hashes"] if lines else []
    command = [tools / "uv", "pip", "install", "--quiet", "--python", prefix, *hashes, "-r", asked]
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_interpreter_without_conda_works(
    run: Run, parts: Path, works: Works, tools: Path, clean_env: dict[str, str], short: Path
) -> None:
    prefix = short / "env"
    make(run, parts, prefix, str(prefix), short)
    assert not (prefix / "conda-meta").exists()
    found = read_locks().interpreter(PYTHON)
    assert found
    with_pip(prefix, tools, clean_env, found[1])
    works(prefix)
    # The rule that takes out manuals takes nothing that the promise is about; one that took more would be noticed.
    # The machine may have certificates and time zones of its own.
    env = {name: value for name, value in clean_env.items() if not name.startswith("SSL_")}
    env["PYTHONTZPATH"] = f"{prefix}/share/zoneinfo"
    docs = default_matrix().rules["docs"].remove
    for remove, noticed in (
        (docs, ""),
        (["share/**"], "no time zones"),
        (["s*/**"], "no certificate is trusted"),
    ):
        (rules := short / "rules.json").write_text(json.dumps([{"name": "docs", "remove": remove}]), "utf-8")
        run("trim_env.py", prefix, "--rules", rules)
        command = [prefix / "bin/python3", PROGRAMS / "checks/standard_library.py"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == bool(noticed), done.stderr
        assert noticed in done.stderr


OLD, NEW = b"/a/very/long/build/prefix", b"/opt/env"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"#!" + OLD + b"/bin/python\n" + OLD, b"#!" + NEW + b"/bin/python\n" + NEW),
        (b"\0" + OLD + b"/lib\0next", b"\0" + NEW + b"/lib" + b"\0" * 18 + b"next"),
        (b"\0" + OLD + b":" + OLD + b"\0x", b"\0" + NEW + b":" + NEW + b"\0" * 35 + b"x"),
        (b"nothing\0here", b"nothing\0here"),
    ],
    ids=["text", "binary", "twice in a string", "none"],
)
def test_a_prefix_is_replaced_as_conda_does_it(tmp_path: Path, before: bytes, after: bytes) -> None:
    (tmp_path / "file").write_bytes(before)
    assert make_interpreter.move_prefix(tmp_path, OLD, NEW) == (before != after)
    assert (tmp_path / "file").read_bytes() == after
    if b"\0" in before:
        assert len(after) == len(before)


def test_a_longer_prefix_is_refused_for_binaries(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0" + NEW + b"\0")
    with pytest.raises(UserError, match="at most 8 characters"):
        make_interpreter.move_prefix(tmp_path, NEW, OLD)


def test_nothing_names_the_place_where_it_was_built(tree: Path) -> None:
    data = next(tree.glob("lib/python3.*/_sysconfigdata_*.py")).read_text("utf-8")
    assert "'prefix': '/install'" in data
    baked = [path for path in tree.rglob("*") if path.is_file() and b"/home/runner/work" in path.read_bytes()]
    assert baked == []


def test_a_standalone_build_is_fetched_from_the_mirror_and_works(
    run: Run, tree: Path, tools: Path, clean_env: dict[str, str], short: Path
) -> None:
    served = short / "served"
    (served / "mirror" / BUILD).mkdir(parents=True)
    with tarfile.open(served / "mirror" / BUILD / ARCHIVE, "w:gz", compresslevel=1) as archive:
        # Time zones are links out of the tree, which a standalone build has not and uv does not take.
        archive.add(tree, "python", filter=lambda one: None if "/zoneinfo" in one.name else one)
    # What uv knows of builds, with the one that is here; where it is does not say, the mirror does.
    build = {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": 3,
        "minor": 14,
        "patch": 3,
        "prerelease": "",
        "url": f"{GITHUB}/{BUILD}/{ARCHIVE.replace('+', '%2B')}",
        "sha256": None,
        "variant": None,
        "build": BUILD,
    }
    (known := short / "builds.json").write_text(
        json.dumps({"cpython-3.14.3-linux-x86_64-gnu": build}), "utf-8"
    )
    prefix = short / "env"
    with folder_over_http(served) as port:
        run(
            *("make_interpreter.py", "standalone", prefix, "--python", PYTHON),
            *("--mirror", f"http://127.0.0.1:{port}/mirror"),
            env={"UV_PYTHON_DOWNLOADS_JSON_URL": str(known)},
        )
    assert sorted(path.name for path in short.iterdir()) == ["builds.json", "env", "served"]
    with_pip(prefix, tools, clean_env)
    asked = "import sysconfig; print(*map(sysconfig.get_config_var, ('LIBDIR', 'INCLUDEPY', 'LIBPL')))"
    said = subprocess.check_output([prefix / "bin/python3", "-c", asked], text=True).split()
    assert said[:2] == [f"{prefix}/lib", f"{prefix}/include/python{PYTHON}"]
    assert said[2].startswith(f"{prefix}/lib/")


def test_a_build_that_the_mirror_has_not_is_said_with_its_address(run: Run, short: Path) -> None:
    (short / "empty").mkdir()
    with folder_over_http(short / "empty") as port:
        done = run(
            *("make_interpreter.py", "standalone", short / "env", "--python", PYTHON),
            *("--mirror", f"http://127.0.0.1:{port}/mirror"),
            ok=False,
        )
    assert f"uv cannot fetch CPython {PYTHON}" in done.stderr
    assert f"http://127.0.0.1:{port}/mirror/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in short.iterdir()) == ["empty"]


def test_errors_are_one_line(run: Run, parts: Path, tree: Path, short: Path) -> None:
    found = read_locks().interpreter(PYTHON)
    assert found
    recipe = json.loads(found[0])
    (one := short / "one.json").write_text(json.dumps(recipe), "utf-8")
    (two := short / "two.json").write_text(json.dumps({**recipe, "python": recipe["python"] * 2}), "utf-8")
    given = [f"--{kind}={parts / kind}" for kind in ("jars", "debs")]
    for words, said in (
        (("made", short / "out", "--at", "opt/env", "--recipe", one, *given), "not absolute"),
        (("made", short / "out", "--at", "/opt/env", "--recipe", two, *given), "2 CPythons"),
        (("made", short / "out", "--at", "/opt/env", "--recipe", one), "no folder given"),
        (("standalone", tree, "--python", PYTHON), "is there already"),
    ):
        done = run("make_interpreter.py", *words, ok=False)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_copy_is_the_same_twice_and_leaves_out_what_was_compiled_by_the_way(
    run: Run, tree: Path, short: Path
) -> None:
    env = short / "env"
    shutil.copytree(tree, env, symlinks=True)
    package = env / f"lib/python{PYTHON}/site-packages/package"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__/one.pyc").write_bytes(b"compiled")
    (package / "tool").write_text("#!/bin/sh\n", "utf-8")
    (package / "tool").chmod(0o775)
    (package / "link").symlink_to("tool")
    (package / "folder").symlink_to("../package")
    kinds = {}
    for out in (short / "one", short / "two"):
        run("copy_env.py", env, out, env={"SOURCE_DATE_EPOCH": "315532800"})
        kinds[out.name] = {
            str(path.relative_to(out)): (path.lstat().st_mode, path.lstat().st_mtime, path.is_symlink())
            for path in (out, *out.rglob("*"))
        }
    assert kinds["one"] == kinds["two"]
    assert {when for _, when, _ in kinds["one"].values()} == {315532800.0}
    here = f"lib/python{PYTHON}/site-packages/package"
    assert {name.removeprefix(f"{here}/") for name in kinds["one"] if name.startswith(f"{here}/")} == {
        "tool",
        "link",
        "folder",
    }
    assert kinds["one"][f"{here}/tool"][0] & 0o777 == 0o775
    standard = {str(path.relative_to(tree)) for path in tree.rglob("*.pyc")}
    assert standard
    assert standard <= set(kinds["one"])
    assert subprocess.check_output([short / "one/bin/python3", "-c", "print(6 * 7)"], text=True) == "42\n"
