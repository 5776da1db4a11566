"""copy_changes.py on trees as two layers make them."""

import os
import shutil
from pathlib import Path

from copy_changes import main
from tests.programs.conftest import Run


def trees(folder: Path) -> tuple[Path, Path]:
    """Make a tree, and another that has more and something otherwise."""
    below, above = folder / "below", folder / "above"
    (below / "lib/same").mkdir(parents=True)
    (below / "lib/same/kept").write_text("kept")
    (below / "lib/changed").write_text("old")
    (below / "lib/gone").write_text("gone")
    (below / "lib/link").symlink_to("changed")
    shutil.copytree(below, above, symlinks=True)
    (above / "lib/gone").unlink()
    (above / "lib/changed").write_text("new")
    (above / "lib/link").unlink()
    (above / "lib/link").symlink_to("same/kept")
    (above / "new/empty").mkdir(parents=True)
    (above / "new/run").write_text("#!/bin/sh\n")
    (above / "new/run").chmod(0o755)
    os.link(above / "new/run", above / "new/twin")
    os.utime(above / "new", (1, 1))
    return below, above


def test_only_what_is_new_or_otherwise_is_copied(tmp_path: Path) -> None:
    below, above = trees(tmp_path)
    main(below, above, tmp_path / "out")
    out = tmp_path / "out"
    found = {str(path.relative_to(out)) for path in out.rglob("*")}
    assert found == {"lib", "lib/changed", "lib/link", "new", "new/empty", "new/run", "new/twin"}
    assert (out / "lib/changed").read_text() == "new"
    assert (out / "lib/link").readlink() == Path("same/kept")


def test_what_is_copied_is_as_it_was(tmp_path: Path) -> None:
    below, above = trees(tmp_path)
    main(below, above, tmp_path / "out")
    run = tmp_path / "out/new/run"
    assert run.stat().st_mode == (above / "new/run").stat().st_mode
    assert run.stat().st_mtime_ns == (above / "new/run").stat().st_mtime_ns
    assert run.samefile(tmp_path / "out/new/twin")
    assert (tmp_path / "out/new").stat().st_mtime == 1


def test_of_two_equal_trees_nothing_is_left(tmp_path: Path) -> None:
    below, _ = trees(tmp_path)
    shutil.copytree(below, tmp_path / "again", symlinks=True)
    main(below, tmp_path / "again", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_program_takes_the_trees_and_the_folder(run: Run, tmp_path: Path) -> None:
    below, above = trees(tmp_path)
    run("copy_changes.py", below, above, tmp_path / "out")
    assert (tmp_path / "out/lib/changed").read_text() == "new"
    assert not (tmp_path / "out/lib/same").exists()
