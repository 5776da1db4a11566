"""A checkout anywhere: as git on Windows makes it, with spaces, read-only, without git, shallow, through links.

In each, every file is as it was committed, and daggerw runs; in one that is all at once, the generators run too.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What is no part of a checkout, or of no use here.
LEFT_OUT = (".git", "__pycache__", ".*_cache", ".hypothesis", ".venv", "records", "out", "sdk")
SPACES = "a folder's \u00fcber $HOME & *"
ON_MACOS = """
import ctypes, sys
sys.platform, ctypes.CDLL = "darwin", lambda *_: object()
from engine.cli import run
sys.exit(run(["own", "call", "cells"]))
"""
GENERATED = """
from tests.unit.generate.test_files import FILES, ROOT
stale = [path for path, text in FILES.items() if (ROOT / path).read_bytes() != text.encode()]
print(ROOT, len(FILES), stale)
"""


def git(*words: str, folder: Path | None = None) -> None:
    """Run git, without the settings of who runs the tests."""
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env={**os.environ, **alone}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commit what is here twice, so that a shallow clone lacks something."""
    folder = tmp_path_factory.mktemp("origin") / "repository"
    ignored = shutil.ignore_patterns(*LEFT_OUT)
    # The folder `ci/sdk` is one of the code.
    shutil.copytree(
        ROOT, folder, ignore=lambda at, names: ignored(at, names) - ({"sdk"} if Path(at) != ROOT else set())
    )
    git("init", "--quiet", folder=folder)
    git("commit", "--quiet", "--allow-empty", "--message=before", folder=folder)
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message=now", folder=folder)
    return folder


def clone(origin: Path, target: Path, *options: str) -> Path:
    """Clone the repository."""
    git("clone", "--quiet", *options, f"file://{origin}", str(target))
    return target


def clone_read_only(origin: Path, target: Path, *options: str) -> Path:
    """Clone the repository, and let nobody write there."""
    clone(origin, target, *options)
    for path in [*target.rglob("*"), target]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    return target


def copy_without_git(origin: Path, target: Path) -> Path:
    """Copy the files, as an archive of the repository has them."""
    shutil.copytree(origin, target, ignore=shutil.ignore_patterns(".git"))
    return target


def clone_behind_a_link(origin: Path, target: Path) -> Path:
    """Clone the repository elsewhere, and put a link to it."""
    target.symlink_to(clone(origin, target.parent / "elsewhere").name)
    return target


CHECKOUTS: dict[str, Callable[[Path, Path], Path]] = {
    "windows": lambda origin, folder: clone(origin, folder / "checkout", "--config=core.autocrlf=true"),
    "line ends of windows": lambda origin, folder: clone(
        origin, folder / "checkout", "--config=core.autocrlf=true", "--config=core.eol=crlf"
    ),
    "spaces": lambda origin, folder: clone(origin, folder / SPACES),
    "read-only": lambda origin, folder: clone_read_only(origin, folder / "checkout"),
    "no git": lambda origin, folder: copy_without_git(origin, folder / "checkout"),
    "shallow": lambda origin, folder: clone(origin, folder / "checkout", "--depth=1"),
    "link": lambda origin, folder: clone_behind_a_link(origin, folder / "checkout"),
}


@pytest.fixture(params=CHECKOUTS)
def checkout(request: pytest.FixtureRequest, origin: Path, tmp_path: Path) -> Path:
    """Make a checkout."""
    return CHECKOUTS[request.param](origin, tmp_path)


def ran(checkout: Path, *words: str, **env: str) -> str:
    """Run a command in a checkout as somebody whom permissions bind, root too; return what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(checkout.parent),
        "CDPATH": "/tmp:/",  # noqa: S108 - which makes `cd` print
        "PYTHONPATH": str(checkout),
        **env,
    }
    bound = ["setpriv", "--bounding-set=-dac_override", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*bound, *words], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_permissions_bind_the_commands_of_these_tests(origin: Path, tmp_path: Path) -> None:
    checkout = clone_read_only(origin, tmp_path / "checkout")
    with pytest.raises(AssertionError, match="Permission denied"):
        ran(checkout, "touch", "new")


def test_every_file_is_as_it_was_committed(checkout: Path, origin: Path) -> None:
    names = [path.relative_to(origin) for path in origin.rglob("*") if path.is_file()]
    names = [name for name in names if name.parts[0] != ".git"]
    assert len(names) > 500
    odd = [str(name) for name in names if (checkout / name).read_bytes() != (origin / name).read_bytes()]
    assert odd == []
    modes = [
        str(name)
        for name in names
        if os.access(checkout / name, os.X_OK) != os.access(origin / name, os.X_OK)
    ]
    assert modes == []


def test_daggerw_runs_there(checkout: Path) -> None:
    assert ran(checkout, "./daggerw", "help").startswith("daggerw runs dagger")
    assert "not running" in ran(checkout, "./daggerw", "status").splitlines()[0]
    assert "daggerw sweep [OPTIONS" in ran(checkout, "./daggerw", "sweep", "--help")
    assert ran(checkout, str(checkout / "daggerw"), "help").startswith("daggerw runs dagger")


def test_daggerw_runs_there_with_the_machines_own_dagger(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    scripts = {"docker": "exit 0", "dagger": 'echo "$PWD $*"', "python3": "exit 1"}
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (programs / name).chmod(0o755)
    path = f"{programs}:/usr/bin:/bin"
    here = checkout.resolve()
    assert ran(checkout, "./daggerw", "call", "cells", PATH=path).split(" ")[-2:] == ["call", "cells\n"]
    told = ran(checkout, "./daggerw", "debug", "--jobs=2", "--", "--cuda=cpu", PATH=path).splitlines()[0]
    assert told == f"{here} call --jobs=2 debug --cuda=cpu export --path /var/tmp/cslr-images-failed.tar"


def test_a_call_without_a_terminal_needs_nothing_that_macos_lacks(tmp_path: Path) -> None:
    dagger = tmp_path / "dagger"
    dagger.write_text("#!/bin/sh\necho ran $*\n", "utf-8")
    dagger.chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CSLR_IMAGES_CACHE": str(tmp_path / "cache")}
    assert ran(ROOT, sys.executable, "-c", ON_MACOS, **path) == "ran call cells\n"


def test_daggerw_runs_through_links_to_itself(origin: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / SPACES)
    programs = tmp_path / "my programs"
    programs.mkdir()
    (programs / "daggerw").symlink_to(f"../{SPACES}/daggerw")
    (tmp_path / "again").symlink_to(programs / "daggerw")
    for link in (programs / "daggerw", tmp_path / "again"):
        assert ran(checkout.parent, str(link), "help").startswith("daggerw runs dagger")


def test_the_generated_files_are_those_that_are_there(origin: Path, tmp_path: Path) -> None:
    """In one checkout that is all of these at once, because a run of the generators takes a while."""
    options = ("--depth=1", "--config=core.autocrlf=true", "--config=core.eol=crlf")
    checkout = clone_read_only(origin, tmp_path / SPACES, *options)
    assert ran(checkout, sys.executable, "-c", GENERATED).endswith(" []\n")
