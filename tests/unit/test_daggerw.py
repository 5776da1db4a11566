"""Test which dagger daggerw runs, with stand-ins for the programs that a machine may have."""

import subprocess
from pathlib import Path

import pytest

DAGGERW = Path(__file__).parents[2] / "daggerw"
NOTICE = "daggerw: this machine's dagger, no sources chosen\n"


def make_machine(folder: Path, **programs: str) -> dict[str, str]:
    """Write programs, given as shell scripts, and return an environment with them.

    The container runtimes fail unless they are given, and Python says that it is too old.
    """
    python = '[ "$1" != -c ] || exit 1; echo "embedded $*"'
    scripts = {"docker": "exit 1", "podman": "exit 1", "python3": python, **programs}
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}


def run_daggerw(environment: dict[str, str], *arguments: str) -> tuple[str, str]:
    """Run daggerw and return its output and its messages."""
    done = subprocess.run([DAGGERW, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


DAGGER = 'for word; do echo "<$word>"; done'


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_with_dagger_and_a_container_runtime_all_arguments_go_to_dagger(tmp_path: Path, runtime: str) -> None:
    environment = make_machine(tmp_path, dagger=DAGGER, **{runtime: "exit 0"})
    assert run_daggerw(environment, "call", "build", "--only=a b*") == (
        "<call>\n<build>\n<--only=a b*>\n",
        NOTICE,
    )
    assert run_daggerw(environment) == ("", NOTICE)
    assert run_daggerw({**environment, "CSLR_IMAGES_QUIET": "1"}, "version") == ("<version>\n", "")


def test_without_a_terminal_the_engines_program_runs_the_machines_dagger(tmp_path: Path) -> None:
    environment = make_machine(tmp_path, dagger=DAGGER, docker="exit 0", python3='echo "program $*"')
    # The first line is the question for Python's version, whose answer is its exit status.
    output, errors = run_daggerw(environment, "call", "cells")
    assert (output.splitlines()[-1], errors) == (f"program {DAGGERW.parent}/engine own call cells", NOTICE)


def test_an_engine_that_the_user_names_needs_no_runtime(tmp_path: Path) -> None:
    environment = make_machine(tmp_path, dagger=DAGGER) | {
        "_EXPERIMENTAL_DAGGER_RUNNER_HOST": "tcp://engine:1"
    }
    assert run_daggerw(environment, "functions") == ("<functions>\n", NOTICE)


def test_a_client_without_a_daemon_is_not_a_runtime(tmp_path: Path) -> None:
    output, errors = run_daggerw(make_machine(tmp_path, dagger=DAGGER), "call", "cells")
    assert (output, errors) == (f"embedded {DAGGERW.parent}/engine call cells\n", "")


@pytest.mark.skipif(any(Path(one, "dagger").exists() for one in ("/usr/bin", "/bin")), reason="has a dagger")
def test_a_runtime_without_dagger_gets_the_embedded_engine(tmp_path: Path) -> None:
    assert run_daggerw(make_machine(tmp_path, docker="exit 0"), "call", "cells")[0].startswith("embedded ")


@pytest.mark.parametrize("command", ["status", "stop", "clean", "logs", "help"])
def test_its_own_commands_use_the_embedded_engine_on_every_machine(tmp_path: Path, command: str) -> None:
    environment = make_machine(tmp_path, dagger=DAGGER, docker="exit 0")
    assert run_daggerw(environment, command) == (f"embedded {DAGGERW.parent}/engine {command}\n", "")


def test_without_a_terminal_debug_exports_the_state_and_says_how_to_enter_it(tmp_path: Path) -> None:
    environment = make_machine(tmp_path, dagger='echo "$*"', docker="exit 0") | {
        "CSLR_IMAGES_FAILED": "/x/failed.tar"
    }
    arguments = ("debug", "--jobs=2", "--", "--cuda=cpu", "--target=devel")
    output = run_daggerw(environment, *arguments)[0]
    assert output.startswith("call --jobs=2 debug --cuda=cpu --target=devel export --path /x/failed.tar\n")
    assert "docker load --input /x/failed.tar\n" in output
    assert "docker run --interactive --tty --rm IMAGE" in output


@pytest.mark.parametrize("programs", [{"dagger": DAGGER, "docker": "exit 0"}, {}], ids=["own", "embedded"])
@pytest.mark.parametrize(
    "arguments",
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
def test_the_earlier_name_of_variant_is_refused_with_the_new_one(
    tmp_path: Path, programs: dict[str, str], arguments: tuple[str, ...]
) -> None:
    environment = make_machine(tmp_path, **programs)
    done = subprocess.run(
        [DAGGERW, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    message = "daggerw: --profile is called --variant now: --variant slim\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


@pytest.mark.parametrize(
    "arguments", [("history", "--given=all.jsonl"), ("history", "--given", "all.jsonl", "export")]
)
def test_the_earlier_name_of_the_history_file_is_refused_with_the_new_one(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    environment = make_machine(tmp_path, dagger=DAGGER, docker="exit 0")
    done = subprocess.run(
        [DAGGERW, "call", *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    message = "daggerw: --given is called --history now: --history all.jsonl\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


@pytest.mark.parametrize(
    "arguments",
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
def test_daggers_own_profile_option_is_passed_on(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    environment = make_machine(tmp_path, dagger=DAGGER, docker="exit 0")
    assert run_daggerw(environment, *arguments) == ("".join(f"<{word}>\n" for word in arguments), NOTICE)
