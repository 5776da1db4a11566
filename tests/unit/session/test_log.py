"""The lines that the module writes into the user's log."""

import time

import pytest

from ci.session.log import say, say_stage


def test_a_line_is_one_line_and_not_long(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\nb")
    say("x" * 1000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in lines[0]
    assert len(lines[1]) < 300


def test_a_stage_is_said_from_its_begin_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    said = ""
    with say_stage("conda", beat=0.01):
        for _ in range(500):
            time.sleep(0.01)
            said += capsys.readouterr().err
            if "… conda: " in said:
                break
        else:
            pytest.fail("no sign of life")
    assert said.startswith("conda: begins\n")
    assert capsys.readouterr().err.splitlines()[-1].startswith("conda: done after ")


def test_a_short_stage_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with say_stage("conda", beat=0.01):
        pass
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("conda: done after ")


def test_a_stage_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), say_stage("conda"):
        raise ValueError("x")
    assert capsys.readouterr().err.splitlines()[-1].startswith("conda: failed after ")
