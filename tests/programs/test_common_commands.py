"""The small parts of common: commands, downloads, errors, files."""

import hashlib
from pathlib import Path

import pytest

from common.commands import MissingProgramError, run
from common.downloads import retry
from common.errors import UserError, run_main
from common.files import sha256_of, source_date_epoch


def test_a_command_gives_its_output(tmp_path: Path) -> None:
    assert run(["sh", "-c", "pwd; echo $WORD"], cwd=tmp_path, env={"WORD": "x"}) == f"{tmp_path}\nx\n"


def test_a_command_that_fails_shows_its_last_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^sh failed \(3\): 40$"):
        run(["sh", "-c", "seq 40 >&2; exit 3"])
    assert capsys.readouterr().err.split() == [str(number) for number in range(11, 41)]
    with pytest.raises(UserError, match=r"^sh failed"):
        run(["sh", "-c", "exit 1"])
    with pytest.raises(MissingProgramError, match="no-such-program is not installed here"):
        run(["no-such-program"])


def test_passing_failures_are_tried_again_and_others_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[Exception | str] = [OSError("reset"), OSError("refused"), "done", ValueError("wrong"), "no"]

    def act() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def passing(error: Exception) -> bool:
        return isinstance(error, OSError)

    assert retry("page", act, passing, pause=0) == "done"
    assert capsys.readouterr().err.splitlines() == [
        "page: reset; trying again (3 left)",
        "page: refused; trying again (2 left)",
    ]
    with pytest.raises(ValueError, match="wrong"):
        retry("page", act, passing, pause=0)
    assert answers == ["no"]
    answers[:] = [OSError("one"), OSError("two"), "never"]
    with pytest.raises(OSError, match="two"):
        retry("page", act, passing, tries=2, pause=0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("wrong"), "x.py: error: wrong"),
        (
            FileNotFoundError(2, "No such file or directory", "/no"),
            "x.py: error: No such file or directory: /no",
        ),
        (KeyError("k"), "x.py: error: 'k'"),
    ],
)
def test_problems_of_the_user_are_one_line(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert run_main("x.py", fail, KeyError) == 1
    assert capsys.readouterr().err == f"{line}\n"


def test_work_that_goes_well_is_silent_and_a_bug_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("x.py", lambda: None) == 0
    assert capsys.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        run_main("x.py", lambda: 1 // 0)


def test_a_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 100_000)
    assert (
        sha256_of(tmp_path / "x")
        == sha256_of(str(tmp_path / "x"))
        == hashlib.sha256(b"x" * 100_000).hexdigest()
    )


@pytest.mark.parametrize(("value", "epoch"), [("315532800", 315_532_800), ("0", 0), ("", None), (None, None)])
def test_the_time_of_all_files(value: str | None, epoch: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if value is not None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    assert source_date_epoch() == epoch
