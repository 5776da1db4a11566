"""The checks of users, shells and homes, on a copy of this machine's system: each passes, and each is broken once."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.programs.image_system import needs_root, run_apart
from tests.programs.test_checks import complaint, facts, run

pytestmark = needs_root

PYTHON = "/opt/env/bin/python"
PATH = "/opt/env/bin:/home/driver/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGE = {"PATH": PATH, "LD_LIBRARY_PATH": "/home/driver/lib64", "CUDA_HOME": "/usr/local/cuda"}
SET = "env " + " ".join(f"{name}={value}" for name, value in IMAGE.items())
PROFILE = f"{SET} sh /run/programs/write_profile.sh {' '.join(IMAGE)}"
PREPARE = """
mount -t tmpfs -o mode=755 tmpfs /opt; mkdir -p /opt/env/bin; ln -s /usr/bin/python3 /opt/env/bin/python
sh /run/programs/add_user.sh learner 4321 /home/desk"""
EXPECT = f"echo '{json.dumps(IMAGE)}' >/run/expect.json"
AS_ANY_USER = "setpriv --reuid 12345 --regid 0 --clear-groups"


def run_check(
    tmp_path: Path, name: str, words: str = "", before: str = PROFILE, prefix: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a check in the copy of the system, with the image's variables."""
    if not Path("/usr/bin/python3").exists():
        pytest.skip("no system Python")
    variables = " ".join(f"{name}={value}" for name, value in IMAGE.items())
    command = f"env HOME=/home/learner {variables} {prefix} {PYTHON} /run/programs/checks/{name}.py {words}"
    script = f"{PREPARE}\n{before}\nexec {command}"
    return run_apart(tmp_path, script)


VARIABLES = "--expect /run/expect.json --user learner"


def test_all_shells_have_the_variables(tmp_path: Path) -> None:
    assert facts(run_check(tmp_path, "variables", VARIABLES, f"{PROFILE}; {EXPECT}"))["shells"] == 16


@pytest.mark.parametrize(
    ("lost", "missed"),
    [
        ("rm /etc/profile.d/cslr-images.sh", "11 of 16 shells differ, first bash -l of root: PATH is"),
        (": >/etc/environment", "2 of 16 shells differ, first a PAM session of root: PATH is"),
        (
            "sed -i s:/usr/local/cuda:/usr/local/other: /etc/environment",
            "su - root: CUDA_HOME is /usr/local/other, not",
        ),
    ],
)
def test_a_shell_that_lacks_one_is_named(lost: str, missed: str, tmp_path: Path) -> None:
    done = run_check(tmp_path, "variables", VARIABLES, f"{PROFILE}; {EXPECT}; {lost}")
    assert missed in complaint(done)


PLACES = "/home/learner /home/desk"
START = """
site=/run/base/lib/$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')/site-packages
mkdir -p $site; cp /run/programs/cslr_images_start.* $site"""
STARTED = "env PYTHONUSERBASE=/run/base"


@pytest.mark.parametrize(
    ("user", "home", "name"),
    [
        ("4321:4321", "/home/learner", "learner"),
        ("12345:0", "/home/learner", "12345"),
        ("12345:0", "/", "12345"),
        ("0:0", "/root", "root"),
    ],
)
def test_every_user_has_a_name_and_places(user: str, home: str, name: str, tmp_path: Path) -> None:
    become = f"setpriv --reuid {user.split(':')[0]} --regid {user.split(':')[1]} --clear-groups"
    done = run_check(tmp_path, "user_places", PLACES, START, f"{STARTED} HOME={home} {become}")
    assert facts(done)["name"] == name


def test_without_the_file_for_pythons_start_a_user_has_neither(tmp_path: Path) -> None:
    as_user = f"env HOME=/ {AS_ANY_USER}"
    line = complaint(run_check(tmp_path, "user_places", PLACES, "", as_user))
    assert "user 12345 has no name" in line
    line = complaint(run_check(tmp_path, "user_places", PLACES, "", f"env USER=learner HOME=/ {AS_ANY_USER}"))
    assert "Triton (/.triton/cache: Permission denied)" in line
    assert "matplotlib" in line


def test_a_folder_that_group_0_cannot_write_is_named(tmp_path: Path) -> None:
    closed = f"{START}; chmod g-w /home/desk"
    done = run_check(tmp_path, "user_places", PLACES, closed, f"{STARTED} HOME=/home/learner {AS_ANY_USER}")
    assert "user 12345:0 cannot write for /home/desk (/home/desk: Permission denied)" in complaint(done)


@pytest.mark.parametrize(("folder", "closed"), [("/", "/usr"), ("/home/learner", "/home/learner")])
def test_a_folder_is_read_only_for_one_command(folder: str, closed: str, tmp_path: Path) -> None:
    hold = f"sh /run/programs/checks/hold_read_only.sh 0:0 {folder}"
    inside = f"{hold} sh -c 'touch /tmp/one && touch {closed}/checked-read-only'"
    done = run_apart(tmp_path, f"{PREPARE}; {inside} || test ! -e {closed}/checked-read-only; id -u; ls /tmp")
    assert "Read-only file system" in done.stderr
    assert done.stdout.split()[0] == "0"


def test_it_is_held_for_the_user(tmp_path: Path) -> None:
    done = run_apart(
        tmp_path,
        f"{PREPARE}; sh /run/programs/checks/hold_read_only.sh 12345:0 / sh -c 'id -u; id -g; id -G'",
    )
    assert done.stdout.split() == ["12345", "0", "0"]


def test_what_pip_installs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    monkeypatch.setenv("PIP_TARGET", str(site))
    monkeypatch.setenv("PATH", f"{site}/bin:/usr/bin:/bin")
    assert (
        facts(run("user_site", "--package", "pytest", path=site))["command"]
        == f"{site}/bin/checked-user-command"
    )
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert complaint(run("user_site", "--package", "pytest", path=site)).endswith("installed is not on PATH")


def test_a_package_of_another_home_folder_is_noticed(tmp_path: Path) -> None:
    (shadow := tmp_path / "pytest.py").write_text("")
    assert f"pytest is imported from {shadow}" in complaint(
        run("user_site", "--package", "pytest", path=tmp_path)
    )


LOCAL = "/home/authorities"
UPDATE = f"--added {LOCAL} --update 'update-ca-certificates --localcertsdir {LOCAL}'"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
TRUST = f"env SSL_CERT_FILE={BUNDLE} PIP_CERT={BUNDLE} CURL_CA_BUNDLE={BUNDLE} GIT_SSL_CAINFO={BUNDLE}"


def test_a_ca_that_is_added_is_trusted_by_all(tmp_path: Path) -> None:
    done = run_check(tmp_path, "certificates", UPDATE, f"mkdir {LOCAL}", TRUST)
    assert {"Python", "pip"} <= set(facts(done)["clients"])  # type: ignore[call-overload]


def test_a_ca_that_is_not_added_is_trusted_by_none(tmp_path: Path) -> None:
    done = run_check(tmp_path, "certificates", f"--added {LOCAL} --update true", f"mkdir {LOCAL}", TRUST)
    assert "certificate" in complaint(done)


def test_a_ca_that_is_trusted_before_is_no_proof(tmp_path: Path) -> None:
    careless = "import ssl; ssl._create_default_https_context = ssl._create_unverified_context"
    trusting = f"mkdir {LOCAL} /run/site; echo '{careless}' >/run/site/sitecustomize.py"
    done = run_check(tmp_path, "certificates", UPDATE, trusting, f"{TRUST} PYTHONPATH=/run/site")
    assert "Python trusts a CA that nobody has added" in complaint(done)


# Its own packages: what this machine has installed is not touched.
APT = """
for folder in /var/lib/dpkg /var/lib/apt /var/cache/apt; do mount -t tmpfs -o mode=755 tmpfs $folder; done
for folder in info updates triggers; do mkdir /var/lib/dpkg/$folder; done
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial
: >/var/lib/dpkg/status; rm -rf /etc/apt/sources.list* /etc/apt/apt.conf.d/docker-clean"""


# What apt keeps meanwhile is in a cache volume.
INSTALL = (
    "sh /run/programs/install_debs.sh 2>/dev/null; umount /var/cache/apt; mount -t tmpfs tmpfs /var/cache/apt"
)


def test_apt_keeps_nothing_once_packages_are_installed_by_our_program(tmp_path: Path) -> None:
    done = run_check(tmp_path, "apt_install", "", f"{APT}; {INSTALL}")
    assert facts(done)["installed"] == "checked-package"


def test_debians_own_setting_is_put_back(tmp_path: Path) -> None:
    kept = "/etc/apt/apt.conf.d/docker-clean"
    install = "sh /run/programs/install_debs.sh"
    script = f"{APT}; echo '// own' >{kept}; {install}; {install} nothing || cat {kept}"
    assert run_apart(tmp_path, script).stdout.strip() == "// own"


def test_archives_that_apt_keeps_are_named(tmp_path: Path) -> None:
    assert "apt keeps /var/cache/apt/archives/checked-package" in complaint(
        run_check(tmp_path, "apt_install", "", APT)
    )


def test_archives_that_the_image_holds_are_named(tmp_path: Path) -> None:
    left = f"{APT}; {INSTALL}; mkdir /var/cache/apt/archives; touch /var/cache/apt/archives/gcc.deb"
    line = complaint(run_check(tmp_path, "apt_install", "", left))
    assert line == "apt_install: the image holds 1 of apt's files: /var/cache/apt/archives/gcc.deb"


def test_a_driver_is_found_where_it_is_mounted(tmp_path: Path) -> None:
    assert facts(run_check(tmp_path, "driver_mount", "--at /home/driver"))["mounted"] == "/home/driver"


def test_a_driver_that_the_engines_machine_has_mounted_is_looked_for_as_it_is(tmp_path: Path) -> None:
    library = 'cp "$(find /lib /usr/lib -name libm.so.6 | head -n 1)" /home/driver/lib64/libcuda.so.1'
    before = f"{PROFILE}; mkdir -p /home/driver/lib64 /home/driver/bin; {library}"
    missed = complaint(run_check(tmp_path, "driver_mount", "--at /home/driver", before))
    assert "root does not find nvidia-smi in /home/driver: it is not on PATH" in missed
    command = "touch /home/driver/bin/nvidia-smi; chmod +x /home/driver/bin/nvidia-smi"
    assert facts(run_check(tmp_path, "driver_mount", "--at /home/driver", f"{before}; {command}"))


@pytest.mark.parametrize(
    ("at", "before", "missed"),
    [
        ("/home/elsewhere", PROFILE, "root does not load libcuda.so.1 from /home/elsewhere"),
        ("/home/driver", "", "a login does not load libcuda.so.1"),
    ],
)
def test_a_driver_that_is_not_found_is_noticed(at: str, before: str, missed: str, tmp_path: Path) -> None:
    assert missed in complaint(run_check(tmp_path, "driver_mount", f"--at {at}", before))
