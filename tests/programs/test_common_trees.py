"""common/trees.py: times, permissions and contents of what is written."""

import os
from pathlib import Path

import pytest

from common.trees import TreeWriter, copy_contents


@pytest.mark.parametrize("epoch", [315_532_800, None])
def test_a_tree_has_one_time_or_those_of_its_sources(tmp_path: Path, epoch: int | None) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"program")
    source.chmod(0o4775)
    os.utime(source, (7, 7))
    (root := tmp_path / "out").mkdir()
    writer = TreeWriter(str(root), epoch)
    writer.copy_file(str(source), "bin/tool", source.stat())
    writer.write_file("lib/deep/text", b"text", source.stat())
    writer.add_link("bin/link", "tool", source.lstat())
    writer.add_folder("empty/folder")
    writer.finish()
    files = {path: path.lstat() for path in sorted(root.rglob("*"))}
    assert [str(path.relative_to(root)) for path in files] == [
        *("bin", "bin/link", "bin/tool", "empty", "empty/folder", "lib", "lib/deep", "lib/deep/text"),
    ]
    times = {path.name: int(status.st_mtime) for path, status in files.items()}
    if epoch is None:
        assert (times["tool"], times["text"], times["link"]) == (7, 7, 7)
    else:
        assert {*times.values(), int(root.stat().st_mtime)} == {epoch}
    assert files[root / "bin/tool"].st_mode & 0o7777 == 0o775
    assert files[root / "lib"].st_mode & 0o7777 == 0o755
    assert (root / "bin/link").read_bytes() == b"program"
    assert (writer.files, writer.size) == (3, 11)


def test_a_copy_shares_nothing_with_its_source_and_overwrites_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3_000_000))
    copy_contents(str(source), str(target))
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_ino != source.stat().st_ino
    with pytest.raises(FileExistsError):
        copy_contents(str(source), str(target))
