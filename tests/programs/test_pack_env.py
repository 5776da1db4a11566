"""pack_env.py on real environments: moved, unpacked, run; and the ways in which conda-pack breaks silently."""

import hashlib
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Works = Callable[[Path], None]
EPOCH = 1700000000


@pytest.fixture(scope="module")
def built(run: Run, channel: Path, short_root: Path) -> Iterator[Path]:
    """A folder with an environment (env), made once for the tests that do not change it, and its cache (pkgs)."""
    folder = Path(tempfile.mkdtemp(prefix="c", dir=short_root))
    run("make_env.py", "create", "--prefix", folder / "env", "--channel", channel, "--pkgs-cache", folder / "pkgs",
        "--spec", "python=3.13.*", "pip")  # fmt: skip
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def own(run: Run, channel: Path, short: Path) -> Path:
    """An environment that a test may change, with a cache of its own."""
    run("make_env.py", "create", "--prefix", short / "env", "--channel", channel, "--pkgs-cache", short / "pkgs",
        "--spec", "python=3.13.*", "pip")  # fmt: skip
    return short


def tree(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every path with what it is: content or link target, mode, time."""
    out = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            what = str(path.readlink())
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
        out[path.relative_to(folder).as_posix()] = (what, status.st_mode, int(status.st_mtime))
    return out


def inodes(folder: Path) -> set[tuple[int, int]]:
    return {(s.st_dev, s.st_ino) for p in folder.rglob("*") if stat.S_ISREG((s := p.lstat()).st_mode)}


def mentions(folder: Path, text: str) -> list[str]:
    needle = text.encode()
    return [
        str(p) for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and needle in p.read_bytes()
    ]


def test_folder_for_another_prefix(run: Run, works: Works, built: Path, short: Path) -> None:
    cache = tree(built / "pkgs")
    dest = short / "dest"
    run("pack_env.py", built / "env", "--to-dir", short / "layer", "--dest-prefix", dest)
    assert not (inodes(short / "layer") & (inodes(built / "pkgs") | inodes(built / "env")))
    assert tree(built / "pkgs") == cache
    assert mentions(short / "layer", str(built / "env")) == []
    assert not list((short / "layer").glob("bin/conda*unpack*"))
    for path in [short / "layer", *(short / "layer").rglob("*")]:
        status = path.lstat()
        assert int(status.st_mtime) == EPOCH, path
        assert status.st_uid == os.getuid()
    assert (short / "layer/bin/python3.13").stat().st_mode & 0o777 == 0o755
    (short / "layer").rename(dest)
    works(dest)
    assert (dest / "bin/pip").read_text().startswith(f"#!{dest}/bin/python")


def test_folder_for_its_own_prefix(run: Run, built: Path, short: Path) -> None:
    """What images do: the copy holds what the environment holds, but for conda-pack's own changes."""
    run("pack_env.py", built / "env", "--to-dir", short / "layer", "--dest-prefix", built / "env")
    packed, original = tree(short / "layer"), tree(built / "env")
    added = {"bin/activate", "bin/deactivate", "bin/activate.fish"}
    assert packed.keys() - original.keys() == added
    missing = original.keys() - packed.keys()
    assert all("__pycache__" in name for name in missing)
    differs = {n for n in packed.keys() & original.keys() if packed[n][:2] != original[n][:2]}
    assert all(n.startswith("conda-meta/") for n in differs), differs


@pytest.mark.parametrize("suffix", [".tar.zst", ".tar.gz"])
def test_archive_unpacked_elsewhere(run: Run, works: Works, built: Path, short: Path, suffix: str) -> None:
    cache = tree(built / "pkgs")
    archive = short / f"env{suffix}"
    run("pack_env.py", built / "env", "--archive", archive)
    run("pack_env.py", built / "env", "--archive", short / f"again{suffix}")
    assert archive.read_bytes() == (short / f"again{suffix}").read_bytes()
    assert archive.stat().st_mode & 0o777 == 0o644
    dest = short / "elsewhere"
    dest.mkdir()
    subprocess.run(["tar", "-C", dest, "-xf", archive], check=True)
    subprocess.run([dest / "bin/python", dest / "bin/conda-unpack"], check=True)
    works(dest)
    assert mentions(dest / "bin", str(built / "env")) == []
    assert tree(built / "pkgs") == cache


def test_archive_needs_no_zstandard_module(run: Run, built: Path, short: Path) -> None:
    """With the zstd program in its place; a module that cannot be imported stands for a missing one."""
    if shutil.which("zstd") is None:
        pytest.skip("no zstd")
    (short / "zstandard.py").write_text("raise ImportError\n")
    run("pack_env.py", built / "env", "--archive", short / "env.tar.zst", env={"PYTHONPATH": str(short)})
    listed = subprocess.run(
        ["tar", "-tvf", short / "env.tar.zst"], check=True, capture_output=True, text=True
    ).stdout
    assert "bin/conda-unpack" in listed
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}


def test_two_folders_are_the_same(run: Run, built: Path, short: Path) -> None:
    for name in ("a", "b"):
        run("pack_env.py", built / "env", "--to-dir", short / name, "--dest-prefix", "/opt/env")
    assert tree(short / "a") == tree(short / "b")


def test_missing_cache_is_an_error(run: Run, own: Path) -> None:
    shutil.rmtree(next((own / "pkgs").glob("python-3.13*_cp313")))
    done = run("pack_env.py", own / "env", "--to-dir", own / "out", "--dest-prefix", "/opt/env", ok=False)
    assert "the package cache lacks python 3.13" in done.stderr
    assert "fill-cache" in done.stderr
    assert not (own / "out").exists()
    run("make_env.py", "fill-cache", "--prefix", own / "env", "--pkgs-cache", own / "pkgs")
    run("pack_env.py", own / "env", "--to-dir", own / "out", "--dest-prefix", "/opt/env")


def test_what_pip_replaced(run: Run, tools: Path, clean_env: dict[str, str], own: Path, short: Path) -> None:
    """conda-pack takes conda's old files from the cache and mixes them with pip's new ones."""
    install: list[str | Path] = [tools / "uv", "pip", "install", "-q", "--link-mode", "copy"]
    install += ["--python", own / "env/bin/python"]
    subprocess.run([*install, "setuptools==80.9.0"], check=True, env=clean_env)
    command = ("pack_env.py", own / "env", "--to-dir", own / "out", "--dest-prefix", short / "out")
    done = run(*command, ok=False)
    assert "setuptools 81.0.0 (" in done.stderr
    assert "--allow-replaced setuptools" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "pip 26" not in done.stderr

    run(*command, "--allow-replaced", "setuptools")
    site = "lib/python3.13/site-packages"
    for path in (own / "env" / site / "setuptools").rglob("*.py"):
        relative = path.relative_to(own / "env")
        assert (own / "out" / relative).read_bytes() == path.read_bytes(), relative
    assert [p.name for p in (own / "out" / site).glob("setuptools-*")] == ["setuptools-80.9.0.dist-info"]
    said = subprocess.run([own / "out/bin/python", "-c", "import setuptools; print(setuptools.__version__)"],
                          check=True, capture_output=True, text=True).stdout  # fmt: skip
    assert said.strip() == "80.9.0"


def test_a_changed_library(run: Run, own: Path, short: Path) -> None:
    """A library that was changed by hand, and has the prefix inside, is exported with the new prefix."""
    library = next((own / "env").glob("lib/python3.13/lib-dynload/_ssl.*.so"))
    copy = library.with_suffix(".copy")
    shutil.copy2(library, copy)
    with copy.open("ab") as file:
        file.write(b"changed")
    copy.replace(library)  # not in place: the cache may hold the same file
    command = ("pack_env.py", own / "env", "--to-dir", own / "out", "--dest-prefix", short / "out")
    assert "_ssl" in run(*command, ok=False).stderr
    run(*command, "--allow-replaced", "python")
    packed = own / "out" / library.relative_to(own / "env")
    assert packed.read_bytes().endswith(b"changed")
    assert packed.stat().st_size == library.stat().st_size
    assert str(own / "env").encode() not in packed.read_bytes()
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    said = subprocess.run(
        [own / "out/bin/python", "-c", count], check=True, capture_output=True, text=True, env={}
    )
    assert int(said.stdout) > 50
    refused = run(
        "pack_env.py", own / "env", "--archive", own / "a.tar", "--allow-replaced", "python", ok=False
    )
    assert "relocatable archive needs it as conda installed it" in refused.stderr


def test_compiled_files_stay_fresh(run: Run, own: Path) -> None:
    """One time for all files makes .pyc files that name their source's time stale: it is renewed inside them."""
    site = own / "env/lib/python3.13/site-packages"
    (site / "mine").mkdir()
    for name in ("fresh", "stale"):
        (site / f"mine/{name}.py").write_text("x = 1\n")
    subprocess.run([own / "env/bin/python", "-m", "compileall", "-q", site / "mine"], check=True)
    os.utime(site / "mine/stale.py", (1, 1))
    run("pack_env.py", own / "env", "--to-dir", own / "out", "--dest-prefix", "/opt/env")
    times = {}
    for name in ("fresh", "stale"):
        source = own / "out/lib/python3.13/site-packages/mine" / f"{name}.py"
        compiled = source.parent / "__pycache__" / f"{name}.cpython-313.pyc"
        times[name] = struct.unpack("<I", compiled.read_bytes()[8:12])[0]
        assert int(source.stat().st_mtime) == EPOCH
    assert times["fresh"] == EPOCH
    assert times["stale"] != EPOCH


def test_compiled_files_are_nobodys_business(run: Run, own: Path) -> None:
    """That Python wrote a conda package's .pyc again, or somebody removed it, is no change to the package."""
    folder = own / "env/lib/python3.13/__pycache__"
    rewritten, removed = folder / "copy.cpython-313.pyc", folder / "abc.cpython-313.pyc"
    pristine = rewritten.read_bytes()
    rewritten.unlink()  # not in place: the cache may hold the same file
    rewritten.write_bytes(b"anything")
    removed.unlink()
    run("pack_env.py", own / "env", "--to-dir", own / "out", "--dest-prefix", "/opt/env")
    packed = own / "out/lib/python3.13/__pycache__"
    assert (packed / rewritten.name).read_bytes() == pristine
    assert not (packed / removed.name).exists()


def test_links_and_empty_folders(run: Run, own: Path) -> None:
    env = own / "env"
    (env / "share/empty").mkdir(parents=True)
    (env / "absolute").symlink_to(env / "bin/python")
    (env / "outside").symlink_to("/etc/hosts")
    (env / "sibling").symlink_to(f"{env}-other/file")
    (env / "folder").symlink_to("share")
    (env / "bin/conda-unpack").write_text("left over\n")
    (env / "big.txt").write_text("x" * 100_000 + f" {env}/bin \n")
    (env / "big.bin").write_bytes(b"x" * 100_000 + b"\xff" + str(env).encode())
    run("pack_env.py", env, "--to-dir", own / "out", "--dest-prefix", "/opt/env", "--exclude", "bin/wheel")
    out = own / "out"
    assert str((out / "absolute").readlink()) == "/opt/env/bin/python"
    assert str((out / "outside").readlink()) == "/etc/hosts"
    assert str((out / "sibling").readlink()) == f"{env}-other/file"
    assert str((out / "folder").readlink()) == "share"
    assert (out / "share/empty").is_dir()
    assert not (out / "bin/conda-unpack").exists()
    assert not (out / "bin/wheel").exists()
    assert (out / "big.txt").read_text().endswith(" /opt/env/bin \n")
    assert (out / "big.bin").read_bytes() == (
        env / "big.bin"
    ).read_bytes()  # as conda-pack: no guessing in binaries


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        ("/a/env", "/opt/env"),
        ("/a/env/lib/x", "/opt/env/lib/x"),
        ("/a/env-other/x", "/a/env-other/x"),
        ("/a/environment", "/a/environment"),
        ("/a", "/a"),
        ("lib/x", "lib/x"),
        ("../a/env/x", "../a/env/x"),
    ],
)
def test_links_into_the_environment_are_moved_and_no_others(link: str, moved: str) -> None:
    link_rewriter = pytest.importorskip("pack_env").link_rewriter
    assert link_rewriter("/a/env", "/opt/env")(link) == moved
    assert link_rewriter("/a/env", None)(link) == link, "a relocatable archive is moved when it is unpacked"


def test_errors_are_one_line(run: Run, built: Path, short: Path) -> None:
    def error(*args: object) -> str:
        stderr = run("pack_env.py", *args, ok=False).stderr
        return stderr if "usage:" in stderr or len(stderr.splitlines()) == 1 else f"many lines: {stderr}"

    (short / "full").mkdir()
    (short / "full/file").touch()
    assert "is not empty" in error(built / "env", "--to-dir", short / "full", "--dest-prefix", "/opt/env")
    assert "inside the environment" in error(
        built / "env", "--to-dir", built / "env/out", "--dest-prefix", "/x"
    )
    assert "nothing in conda-meta" in error(
        short / "full", "--to-dir", short / "o", "--dest-prefix", "/opt/env"
    )
    assert "is not absolute" in error(built / "env", "--to-dir", short / "o", "--dest-prefix", "opt/env")
    assert "is not absolute" in error("env", "--archive", short / "a.tar")
    assert "expected .tar.zst" in error(built / "env", "--archive", short / "a.zip")
    assert "needs --dest-prefix" in error(built / "env", "--to-dir", short / "o")
    assert "at most 79 characters" in error(
        built / "env", "--to-dir", short / "o", "--dest-prefix", "/" + "x" * 90
    )
    assert not (short / "a.tar").exists()


def test_conda_pack_still_corrupts(tools: Path, own: Path) -> None:
    """Why the cache is checked at all: conda-pack warns, exits 0, and the new place has no certificates."""
    shutil.rmtree(own / "pkgs")
    dest = own / "moved"
    command: list[str | Path] = [tools / "conda-pack", "-q", "-p", own / "env", "-o", own / "x.tar"]
    subprocess.run([*command, "--dest-prefix", dest, "--format", "tar"], check=True, capture_output=True)
    dest.mkdir()
    subprocess.run(["tar", "-C", dest, "-xf", own / "x.tar"], check=True)
    (own / "env").rename(own / "gone")
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    said = subprocess.run(
        [dest / "bin/python", "-c", count], check=True, capture_output=True, text=True, env={}
    )
    assert said.stdout.strip() == "0"
