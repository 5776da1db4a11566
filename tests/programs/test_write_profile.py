"""write_profile.sh with real shells, real users and real PAM: each login has what the image sets."""

from pathlib import Path

import pytest

from tests.programs.image_system import needs_root, run_apart

pytestmark = needs_root

IMAGE = {
    "PATH": "/home/learner/.local/bin:/opt/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TORCH_CUDA_ARCH_LIST": "8.0 9.0+PTX",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
}
SET = "env " + " ".join(f"'{name}={value}'" for name, value in IMAGE.items())
WRITE = f"{SET} sh /run/programs/write_profile.sh {' '.join(IMAGE)}"
ADD = "sh /run/programs/add_user.sh learner 4321 /home/desk"
LOGINS = {
    "bash of root": "env -i HOME=/root bash -lc env",
    "sh of root": "env -i HOME=/root sh -lc env",
    "su - root": "su - root -c env",
    "su - learner": "su - learner -c env",
    "bash of learner": "env -i HOME=/home/learner setpriv --reuid 4321 --regid 4321 --clear-groups bash -lc env",
    "bash of a number": "env -i HOME=/ setpriv --reuid 12345 --regid 0 --clear-groups bash -lc env",
    "a session": "env -i su learner -c env",  # no login shell: pam_env alone
}


def variables(text: str) -> dict[str, str]:
    """Parse what `env` prints."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.mark.parametrize("login", LOGINS)
def test_a_login_has_the_variables_of_the_image(login: str, tmp_path: Path) -> None:
    done = run_apart(tmp_path, f"{ADD}; {WRITE}; {LOGINS[login]}")
    assert done.returncode == 0, done.stderr
    found = variables(done.stdout)
    assert {name: found.get(name) for name in IMAGE} == IMAGE


def test_without_it_a_login_shell_has_debians_path(tmp_path: Path) -> None:
    done = run_apart(tmp_path, LOGINS["bash of root"])
    assert "/opt/env" not in done.stdout


def test_a_login_shell_keeps_what_was_set_for_the_container(tmp_path: Path) -> None:
    mine = {"PATH": f"/opt/mine/bin:{IMAGE['PATH']}", "TORCH_CUDA_ARCH_LIST": "9.0"}
    words = " ".join(f"'{name}={value}'" for name, value in mine.items())
    done = run_apart(tmp_path, f"{WRITE}; env {words} bash -lc env")
    assert {name: variables(done.stdout)[name] for name in mine} == mine


def test_written_twice_it_says_each_variable_once_and_keeps_other_lines(tmp_path: Path) -> None:
    done = run_apart(
        tmp_path,
        f"printf 'OTHER=1\\nPATH=\"/bin\"\\n' >/etc/environment; {WRITE}; {WRITE}; cat /etc/environment",
    )
    lines = ["OTHER=1", *(f'{name}="{value}"' for name, value in IMAGE.items())]
    assert done.stdout.splitlines() == lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("A", value) for value in ("$(id)", "`id`", "'", '"', "a\nB=b", "1;2")),
        *((name, "1") for name in ("B", "a", "A B", "", "1A")),  # B is not set
    ],
)
def test_what_its_readers_would_read_differently_is_refused(name: str, value: str, tmp_path: Path) -> None:
    given = {"GOOD": "1", "name": name, "A": value}
    done = run_apart(tmp_path, 'sh /run/programs/write_profile.sh GOOD "$name"', variables=given)
    assert done.returncode == 2
    assert done.stderr.startswith("write_profile.sh: ")
