"""Keep the history of builds: the shell program `keep_history.sh`, run as it is in the engine."""

import subprocess
from pathlib import Path

from tests.programs.conftest import PROGRAMS


def keep(folder: Path, *words: str) -> str:
    """Run the program on a folder and return what it printed."""
    command = ["sh", str(PROGRAMS / "keep_history.sh"), words[0], str(folder), *words[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_stage_is_read_once_with_its_newest_time(tmp_path: Path) -> None:
    lines = tmp_path / "given"
    for text in ("aa 1.5\nbb 2.0\n", "aa 0.1\n", "cut"):
        lines.write_text(text)
        keep(tmp_path, "append", str(lines), "stages")
    printed = keep(tmp_path, "read", str(tmp_path / "copy")).splitlines()
    assert sorted(line for line in printed if line.startswith("stage")) == ["stage aa 0.1", "stage bb 2.0"]


def test_lines_follow_a_line_that_was_cut(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"cell": "a"')
    (tmp_path / "given").write_text('{"cell": "b"}\n')
    keep(tmp_path, "append", str(tmp_path / "given"), "history.jsonl")
    keep(tmp_path, "read", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_text() == '{"cell": "a"\n{"cell": "b"}\n'
