"""common/records.py: RECORD files of real packages, and of packages behind a link."""

import base64
import csv
import hashlib
import os
import sysconfig
from pathlib import Path

import pytest

from common.records import record_hash, update_records

SITE = Path(sysconfig.get_path("purelib"))
RECORDS = sorted(SITE.glob("*.dist-info/RECORD"))


def package(site: Path) -> Path:
    """Write a package with two modules, and return its RECORD."""
    for name, text in (("pkg/a.py", "a"), ("pkg/b,c.py", "b")):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    info = site / "pkg-1.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_bytes(
        b'pkg/a.py,sha256=old,1\r\n"pkg/b,c.py",sha256=old,1\r\npkg/a.pyc,,\r\npkg-1.dist-info/RECORD,,\r\n'
    )
    return info / "RECORD"


def test_a_hash_is_written_as_in_a_record(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 7)
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x" * 7).digest()).decode().rstrip("=")
    assert record_hash(tmp_path / "x") == f"sha256={digest}"


def test_changed_files_get_a_new_line_and_others_keep_theirs(tmp_path: Path) -> None:
    record = package(tmp_path / "site")
    changed = {tmp_path / "site/pkg/b,c.py", tmp_path / "site/pkg/a.pyc"}
    assert update_records([record], changed=changed) == 1
    lines = record.read_text().splitlines()
    assert lines[0] == "pkg/a.py,sha256=old,1"
    assert next(csv.reader([lines[1]])) == ["pkg/b,c.py", record_hash(tmp_path / "site/pkg/b,c.py"), "1"]
    assert lines[2:] == ["pkg/a.pyc,,", "pkg-1.dist-info/RECORD,,"]


def test_removed_files_lose_their_lines(tmp_path: Path) -> None:
    record = package(tmp_path / "site")
    removed = {tmp_path / "site/pkg/a.py", tmp_path / "site/pkg/a.pyc", tmp_path / "elsewhere/a.py"}
    assert update_records([record], removed=removed) == 2
    assert record.read_bytes() == b'"pkg/b,c.py",sha256=old,1\npkg-1.dist-info/RECORD,,\n'


def test_a_record_keeps_its_mode_and_time_but_not_its_hard_links(tmp_path: Path) -> None:
    record = package(tmp_path / "site")
    record.chmod(0o640)
    os.utime(record, (5, 5))
    cached = tmp_path / "cached"
    cached.hardlink_to(record)
    before = cached.read_bytes()
    update_records([record], removed={tmp_path / "site/pkg/a.py"})
    assert cached.read_bytes() == before
    assert (record.stat().st_mode & 0o777, record.stat().st_mtime) == (0o640, 5)
    assert sorted(path.name for path in record.parent.iterdir()) == ["RECORD"]


def test_a_record_without_such_files_is_not_written(tmp_path: Path) -> None:
    record = package(tmp_path / "site")
    inode = record.stat().st_ino
    assert update_records([record], changed={tmp_path / "x"}, removed={tmp_path / "y"}) == 0
    assert record.stat().st_ino == inode


def test_packages_behind_a_link_are_found(tmp_path: Path) -> None:
    record = package(tmp_path / "site")
    (tmp_path / "site/pkg").rename(tmp_path / "shared")
    (tmp_path / "site/pkg").symlink_to("../shared")
    assert update_records([record], removed={tmp_path / "shared/a.py"}) == 1


@pytest.mark.parametrize("record", RECORDS[:30], ids=lambda path: path.parent.name)
def test_real_records_are_as_csv_would_write_them(record: Path, tmp_path: Path) -> None:
    """Lines of other files are kept as they are, which is what csv would make of them."""
    with record.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    site = tmp_path / "site"
    (copy := site / record.parent.name / "RECORD").parent.mkdir(parents=True)
    copy.write_bytes(record.read_bytes())
    removed = {Path(os.path.normpath(site / row[0])) for row in rows[::3]}
    update_records([copy], removed=removed)
    with (tmp_path / "expected").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(row for i, row in enumerate(rows) if i % 3)
    assert copy.read_bytes() == (tmp_path / "expected").read_bytes()
