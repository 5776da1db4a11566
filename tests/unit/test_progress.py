"""What daggerw shows of dagger's plain progress without a terminal, and how it runs dagger then.

The sample is from the log of a real first build; lines of a step that fails are written as dagger 0.19.10 writes them
(its dagql/idtui/frontend_plain.go).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.client import KEPT_LOGS, has_own_display, open_log
from engine.paths import Paths
from engine.progress import SILENCE, STILL, WIDTH, ProgressFilter

ROOT = Path(__file__).parents[2]
SAMPLE = (Path(__file__).parent / "data/progress/first_build.log").read_text("utf-8")
PROGRAMS = {"make_toolkit", "compile_wheels"}


def shown(text: str, clock: Callable[[], float] = lambda: 0.0) -> list[str]:
    """Return the lines that are shown of a progress."""
    chosen = ProgressFilter(PROGRAMS, clock)
    return [line for one in text.splitlines() for line in chosen.feed(one)]


def test_a_first_build_shows_the_users_steps_and_what_programs_say() -> None:
    lines = shown(SAMPLE)
    assert lines[:3] == [
        "load module: .",
        "load module: .: done in 1m8s",
        'CslrImages.build(cuda: "12.8.1", python: "3.13", target: "ray-runtime"): Container!',
    ]
    assert "make_toolkit: 14 packages, 2557 MB" in lines
    assert all(line.startswith(("make_toolkit: ", "compile_wheels: ")) for line in lines[3:])
    assert len(lines) < len(SAMPLE.splitlines()) / 5


def test_the_module_speaks_and_its_sign_of_life_is_shown_in_silence_only() -> None:
    now = 0.0
    chosen = ProgressFilter(PROGRAMS, lambda: now)
    head = 'CslrImages.build(cuda: "cpu"): Container!'
    assert chosen.feed(f"12  : {head}") == [head]
    assert chosen.feed("12  : [1.0s] | conda: begins") == ["[1.0s] conda: begins"]
    beat = f"12  : [26.0s] | {STILL}conda: 25 s so far"
    now = 15.0
    assert chosen.feed(beat) == []
    now = 25.0
    assert chosen.feed(beat) == [f"[26.0s] {STILL}conda: 25 s so far"]
    now += SILENCE - 1
    assert chosen.tick() == []
    now += 1
    assert chosen.tick() == [f"{STILL}CslrImages.build: 55 s so far"]


def test_a_failed_step_shows_its_command_its_last_lines_and_its_message_once() -> None:
    failing = """\
12  : CslrImages.build(cuda: "12.8.1"): Container!
20  : ┆ withExec sh /run/cslr-images/install_debs.sh nothing
20  : ┆ [1.0s] | E: Unable to locate package nothing
20  : ┆ Container.withExec ERROR [1.5s]
20  : ┆ ! process "sh /run/cslr-images/install_debs.sh nothing" did not complete successfully: exit code: 100
12  : CslrImages.build ERROR [2.0s]
12  : ! process "sh /run/cslr-images/install_debs.sh nothing" did not complete successfully: exit code: 100

Error: FunctionError: a step ended with exit status 100
E: Unable to locate package nothing
"""
    assert shown(failing) == [
        'CslrImages.build(cuda: "12.8.1"): Container!',
        "| E: Unable to locate package nothing",
        "failed after 1.5s: withExec sh /run/cslr-images/install_debs.sh nothing",
        '! process "sh /run/cslr-images/install_debs.sh nothing" did not complete successfully: exit code: 100',
        'failed after 2.0s: CslrImages.build(cuda: "12.8.1"): Container!',
        "Error: FunctionError: a step ended with exit status 100",
        "E: Unable to locate package nothing",
    ]


def test_a_module_that_cannot_be_loaded_shows_why() -> None:
    text = "5   : load module: .\n6   : ┆ initializing module\n6   : ┆ initializing module ERROR [1.0s]\n6   : ┆ ! no"
    assert shown(text) == ["load module: .", "failed after 1.0s: initializing module", "! no"]


def test_the_users_own_steps_and_services_are_shown_whole() -> None:
    text = """\
30  : withExec sh -c 'echo hello'
30  : [0.1s] | hello
30  : withExec DONE [0.2s]
31  : Container.up: Void
32  : ┆ tini -- marimo edit
32  : ┆ [1.0s] | serving at port 8080
"""
    assert shown(text) == [
        "withExec sh -c 'echo hello'",
        "hello",
        "withExec: done in 0.2s",
        "Container.up: Void",
        "serving at port 8080",
    ]


def test_no_line_is_long_and_none_controls_a_terminal() -> None:
    lines = shown(f"4   : {'x' * 1000}\n5   : a\x1b[2Jb\x07\x1b]0;title\x07c\n")
    assert [len(line) for line in lines] == [WIDTH, len("ab]0;titlec")]


def test_an_error_is_shown_whole() -> None:
    words = " ".join(f"word{number}" for number in range(100))
    for text in (f"Error: {words}", f"7   : ┆ ! {words}"):
        lines = shown(f"{text}\n")
        assert len(lines) > 1
        assert max(map(len, lines)) <= WIDTH
        assert " ".join(lines).endswith(words)


# -- the client ----------------------------------------------------------------------------------------------

CLIENT = """
import os, sys
from pathlib import Path
from engine.client import run_dagger
from engine.paths import Paths
sys.exit(run_dagger([sys.argv[1], *sys.argv[2:]], os.environ, Paths(Path(os.environ["CACHE"])), Path.cwd()))
"""


def start(folder: Path, script: str, *arguments: str, quiet: str = "1") -> "subprocess.Popen[str]":
    """Run a shell script in place of dagger; unless `quiet`, the client says where it keeps the log."""
    dagger = folder / "dagger"
    dagger.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    dagger.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CACHE": str(folder / "cache")}
    environment["CSLR_IMAGES_QUIET"] = quiet
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(dagger), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests may run where Ctrl-C is ignored, as what a shell starts in the background does.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def logs(folder: Path) -> list[Path]:
    """Return the logs of calls."""
    return sorted((folder / "cache/run").glob("call-*.log"))


def test_a_call_passes_output_and_status_on_and_keeps_the_whole_log(tmp_path: Path) -> None:
    said = "5   : load module: .\n9   : ┆ withExec x\nError: end"
    script = f"echo result; printf '{said}' >&2; exit 3"
    with start(tmp_path, script, "call", "cells", quiet="") as process:
        output, errors = process.communicate(timeout=60)
    (log,) = logs(tmp_path)
    assert (process.returncode, output) == (3, "result\n")
    assert errors == (
        f"daggerw: all that dagger says goes to {log}\nload module: .\nError: end\n"
        f"daggerw: dagger ended with exit status 3; see {log}\n"
    )
    assert log.read_text("utf-8") == said


def test_a_call_that_misses_files_of_the_engines_cache_says_what_to_do(tmp_path: Path) -> None:
    said = r"9   : ! failed to create snapshot: missing parent \"buildkit/10/sha256:80\" bucket: not found"
    with start(tmp_path, f'echo "{said}" >&2; exit 1', "call", "cells") as process:
        _, errors = process.communicate(timeout=60)
    assert "daggerw: files of the engine's cache are missing: `./daggerw clean` gives" in errors
    with start(tmp_path, 'echo "9   : ! not found" >&2; exit 1', "call", "cells") as process:
        assert "clean" not in process.communicate(timeout=60)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_dagger_once_and_its_status_is_the_calls(tmp_path: Path, number: int) -> None:
    script = f"trap 'echo got >&2; exit 7' {number}; echo ready >&2; for i in $(seq 600); do sleep 0.1; done"
    with start(tmp_path, script, "call", "cells") as process:
        assert process.stderr
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
        assert process.stderr.read().startswith("got\ndaggerw: ")
    assert process.returncode == 7


def test_dagger_ends_with_a_client_that_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, "echo $$ >&2; exec sleep 60", "call", "cells") as process:
        assert process.stderr
        dagger = int(process.stderr.readline())
        process.kill()
    for _ in range(600):
        if not Path(f"/proc/{dagger}").exists() or "Z" in Path(f"/proc/{dagger}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("dagger goes on")


@pytest.mark.parametrize(
    "arguments",
    [["functions"], ["--progress=plain", "call", "cells"], ["-vv", "call", "cells"], ["call", "-s", "cells"]],
    ids=" ".join,
)
def test_other_commands_and_a_display_that_the_user_chose_stay_as_they_are(
    tmp_path: Path, arguments: list[str]
) -> None:
    with start(tmp_path, "echo '9   : ┆ withExec x' >&2", *arguments) as process:
        assert process.communicate(timeout=60)[1] == "9   : ┆ withExec x\n"
    assert not logs(tmp_path)


def test_another_projects_call_stays_as_it_is(tmp_path: Path) -> None:
    assert has_own_display(["call", "cells"], {}, tmp_path)
    assert has_own_display(["call", "cells"], {"DAGGER_PROGRESS": "dots"}, ROOT)


def test_only_the_last_logs_are_kept(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for place in range(KEPT_LOGS + 2):
        (tmp_path / f"run/call-2026-{place:02}.log").touch()
    open_log(Paths(tmp_path)).close()
    assert len(list((tmp_path / "run").iterdir())) == KEPT_LOGS
