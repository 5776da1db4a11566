"""daggerw: whose dagger it runs, with stand-ins for what a machine may have."""

import subprocess
from pathlib import Path

import pytest

DAGGERW = Path(__file__).parents[2] / "daggerw"
SAYS = "daggerw: this machine's dagger, no sources chosen\n"


def machine(folder: Path, **programs: str) -> dict[str, str]:
    """Return an environment with programs, each by what its script does; what is not named is broken or not there."""
    told = {"docker": "exit 1", "podman": "exit 1", "python3": 'echo "embedded $*"', **programs}
    for name, script in told.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}


def ran(environment: dict[str, str], *words: str) -> tuple[str, str]:
    """Run daggerw and return what it printed, and what it said beside."""
    done = subprocess.run([DAGGERW, *words], env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


DAGGER = 'for word; do echo "<$word>"; done'


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_with_a_dagger_and_a_container_runtime_it_passes_everything_on(tmp_path: Path, runtime: str) -> None:
    environment = machine(tmp_path, dagger=DAGGER, **{runtime: "exit 0"})
    assert ran(environment, "call", "build", "--only=a b*") == ("<call>\n<build>\n<--only=a b*>\n", SAYS)
    assert ran(environment) == ("", SAYS)
    assert ran({**environment, "CSLR_IMAGES_QUIET": "1"}, "version") == ("<version>\n", "")


def test_an_engine_that_the_user_names_needs_no_runtime(tmp_path: Path) -> None:
    environment = machine(tmp_path, dagger=DAGGER) | {"_EXPERIMENTAL_DAGGER_RUNNER_HOST": "tcp://engine:1"}
    assert ran(environment, "functions") == ("<functions>\n", SAYS)


def test_a_client_without_a_daemon_is_no_runtime(tmp_path: Path) -> None:
    said, beside = ran(machine(tmp_path, dagger=DAGGER), "call", "cells")
    assert (said, beside) == (f"embedded {DAGGERW.parent}/engine call cells\n", "")


@pytest.mark.skipif(any(Path(one, "dagger").exists() for one in ("/usr/bin", "/bin")), reason="has a dagger")
def test_a_runtime_without_dagger_gets_the_embedded_engine(tmp_path: Path) -> None:
    assert ran(machine(tmp_path, docker="exit 0"), "call", "cells")[0].startswith("embedded ")


@pytest.mark.parametrize("command", ["status", "stop", "clean", "logs", "help"])
def test_its_own_commands_are_about_the_embedded_engine_on_every_machine(
    tmp_path: Path, command: str
) -> None:
    environment = machine(tmp_path, dagger=DAGGER, docker="exit 0")
    assert ran(environment, command) == (f"embedded {DAGGERW.parent}/engine {command}\n", "")


def test_without_a_terminal_debug_exports_the_state_and_says_how_to_enter_it(tmp_path: Path) -> None:
    environment = machine(tmp_path, dagger='echo "$*"', docker="exit 0") | {
        "CSLR_IMAGES_FAILED": "/x/failed.tar"
    }
    words = ("debug", "--jobs=2", "--", "--cuda=cpu", "--target=devel")
    said = ran(environment, *words)[0]
    assert said.startswith("call --jobs=2 debug --cuda=cpu --target=devel export --path /x/failed.tar\n")
    assert "docker load --input /x/failed.tar\n" in said
    assert "docker run --interactive --tty --rm IMAGE" in said


@pytest.mark.parametrize("programs", [{"dagger": DAGGER, "docker": "exit 0"}, {}], ids=["own", "embedded"])
@pytest.mark.parametrize(
    "words",
    [
        ("call", "--profile", "slim", "build", "--cuda=cpu"),
        ("call", "--profile=slim", "build"),
        ("--progress", "plain", "call", "--jobs=2", "--profile", "slim", "cells"),
        ("--profile", "call", "--profile=slim", "cells"),
        ("sweep", "--profile", "slim", "--", "--phase=1"),
        ("debug", "--profile=slim", "--", "--cuda=cpu"),
        ("bundle", "folder", "--profile", "slim", "--", "--cuda=cpu"),
    ],
    ids=" ".join,
)
def test_the_earlier_name_of_variant_is_answered_with_the_new_one(
    tmp_path: Path, programs: dict[str, str], words: tuple[str, ...]
) -> None:
    environment = machine(tmp_path, **programs)
    done = subprocess.run([DAGGERW, *words], env=environment, cwd=tmp_path, capture_output=True, text=True)
    said = "daggerw: --profile is called --variant now: --variant slim\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize(
    "words", [("history", "--given=all.jsonl"), ("history", "--given", "all.jsonl", "export")]
)
def test_the_earlier_name_of_the_file_of_history_is_answered_with_the_new_one(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    environment = machine(tmp_path, dagger=DAGGER, docker="exit 0")
    done = subprocess.run(
        [DAGGERW, "call", *words], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    message = "daggerw: --given is called --history now: --history all.jsonl\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


@pytest.mark.parametrize(
    "words",
    [
        ("--profile", "call", "cells"),
        ("--profile=true", "call", "cells"),
        ("call", "cells", "--profile"),
        ("call", "--profile", "--jobs=2", "cells"),
        ("call", "--profile=false", "cells"),
        ("functions", "--profile", "slim"),
    ],
    ids=" ".join,
)
def test_a_profile_that_is_daggers_own_is_passed_on(tmp_path: Path, words: tuple[str, ...]) -> None:
    environment = machine(tmp_path, dagger=DAGGER, docker="exit 0")
    assert ran(environment, *words) == ("".join(f"<{word}>\n" for word in words), SAYS)
