"""common/fatbin.py on containers made here."""

import mmap
import struct
from pathlib import Path

import pytest

from common.fatbin import count_code, parse_architectures


def entry(kind: int, number: int, payload: int) -> bytes:
    """Return an entry of a container."""
    head = struct.pack("<HHIQ", kind, 0x101, 64, payload).ljust(28, b"\0") + struct.pack("<I", number)
    return head.ljust(64, b"\0") + b"x" * payload


def container(*entries: bytes) -> bytes:
    """Return a container."""
    whole = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(whole)) + whole


def test_code_is_counted_by_architecture(tmp_path: Path) -> None:
    one = container(entry(2, 80, 100), entry(2, 90, 50), entry(1, 90, 10))
    (tmp_path / "fat").write_bytes(b"pad!" + one + one)
    with (
        (tmp_path / "fat").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        counts = count_code(data)
        first = count_code(data, 4, len(one))
    assert counts == {"sm_80": 2 * 164, "sm_90": 2 * 114, "compute_90": 2 * 74}
    assert first == {"sm_80": 164, "sm_90": 114, "compute_90": 74}


@pytest.mark.parametrize("cut", [1, 8, 15, 40, 79, 90])
def test_a_container_that_is_cut_off_ends_the_count(cut: int) -> None:
    whole = container(entry(2, 80, 100))
    assert set(count_code(whole[:cut])) <= {"sm_80"}


def test_an_entry_without_a_size_ends_its_container() -> None:
    assert count_code(container(bytes(64), entry(2, 80, 8))) == {}


def test_other_kinds_of_entries_are_passed_over() -> None:
    assert set(count_code(container(entry(8, 70, 8), entry(2, 80, 8)))) == {"sm_80"}


def test_lists_of_architectures() -> None:
    assert parse_architectures("8.0;9.0a+PTX 12.0") == {"sm_80", "sm_90", "compute_90", "sm_120"}
    with pytest.raises(ValueError, match="'80'"):
        parse_architectures("8.0;80")
