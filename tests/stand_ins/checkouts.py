"""Copy the repository as it is now, to be a checkout of its own with a history of its own."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a build does not read.
_UNREAD = (".git", ".*_cache", "__pycache__", "tests", "dockerfiles", "docs", "records")


def copy_checkout(folder: Path) -> Path:
    """Copy what a build reads to a new folder, and commit it there."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_UNREAD), symlinks=True)
    _git(folder, "init", "--quiet")
    commit(folder, "base")
    return folder


def commit(folder: Path, message: str) -> None:
    """Commit everything."""
    _git(folder, "add", "--all", "--force")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    _git(folder, *who, "commit", "--quiet", f"--message={message}")


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)
