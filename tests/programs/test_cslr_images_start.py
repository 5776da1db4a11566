"""cslr_images_start.py, run by a real Python at its start, as real users on real folders."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.conftest import PROGRAMS
from tests.programs.image_system import needs_root, run_apart

pytestmark = needs_root

PYTHON = "/usr/bin/python3"
CACHES = "/tmp/caches-"  # noqa: S108 - in a mount namespace
SHOW = "import json, os, sys, getpass; print(json.dumps({'name': getpass.getuser(), **os.environ}))"


def start(tmp_path: Path, prepare: str = "", words: str = "", user: str = "12345:0") -> dict[str, str]:
    """Start Python with the file in its site-packages, as a user, and return its variables."""
    if not Path(PYTHON).exists():
        pytest.skip("no system Python")
    uid, gid = user.split(":")
    # A .pth is read in folders of packages; the user's is one that needs no write to the system.
    script = f"""
    version=$({PYTHON} -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    site=/run/base/lib/$version/site-packages; mkdir -p $site
    cp /run/programs/cslr_images_start.py /run/programs/cslr_images_start.pth $site
    mkdir -p /home/closed /home/open; chmod 777 /home/open
    {prepare}
    exec env -i PYTHONUSERBASE=/run/base HOME=/home/closed {words} \
        setpriv --reuid {uid} --regid {gid} --clear-groups {PYTHON} -c "{SHOW}"
    """
    done = run_apart(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_caches_have_a_place_where_the_home_folder_cannot_be_written(tmp_path: Path) -> None:
    found = start(tmp_path)
    assert found["TRITON_CACHE_DIR"] == f"{CACHES}12345/triton/.triton/cache"
    names = (
        "TORCHINDUCTOR_CACHE_DIR",
        "MPLCONFIGDIR",
        "NUMBA_CACHE_DIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
    )
    assert all(found[name].startswith(f"{CACHES}12345/") for name in (*names, "CUDA_CACHE_PATH", "HF_HOME"))


def test_nothing_is_set_where_it_can(tmp_path: Path) -> None:
    assert not {name for name in start(tmp_path, words="HOME=/home/open") if "CACHE" in name or "XDG" in name}


def test_what_is_set_already_stays(tmp_path: Path) -> None:
    assert start(tmp_path, words="MPLCONFIGDIR=/mine")["MPLCONFIGDIR"] == "/mine"


def test_a_folder_that_is_mounted_below_the_home_folder_is_used(tmp_path: Path) -> None:
    models = "mkdir -p /home/closed/.cache/huggingface /home/closed/.triton; chmod 777 /home/closed/.triton"
    found = start(tmp_path, models)
    assert found["HF_HOME"] == "/home/closed/.cache/huggingface"  # to be read
    assert found["TRITON_HOME"] == "/home/closed/.triton"  # to be written
    assert found["XDG_CACHE_HOME"] == f"{CACHES}12345/cache"


def test_a_read_only_file_system_is_not_writable_for_root_either(tmp_path: Path) -> None:
    frozen = "mount --bind /home/closed /home/closed; mount -o remount,bind,ro /home/closed"
    assert start(tmp_path, frozen, user="0:0")["XDG_CACHE_HOME"] == f"{CACHES}0/cache"
    assert "XDG_CACHE_HOME" not in start(tmp_path, user="0:0")


@pytest.mark.parametrize(
    "trap", ["mkdir /tmp/caches-12345", "mkdir /home/theirs; ln -s /home/theirs /tmp/caches-12345"]
)
def test_somebody_elses_folder_is_not_used(trap: str, tmp_path: Path) -> None:
    assert "XDG_CACHE_HOME" not in start(tmp_path, trap)


def test_python_starts_where_nothing_can_be_written(tmp_path: Path) -> None:
    found = start(tmp_path, "mount -o remount,ro /tmp")
    assert "XDG_CACHE_HOME" not in found


def test_a_user_without_an_entry_has_a_name(tmp_path: Path) -> None:
    assert start(tmp_path)["name"] == "12345"
    assert start(tmp_path, words="LOGNAME=learner")["name"] == "learner"
    known = start(tmp_path, user="65534:65534")
    assert known["name"] == "nobody"
    assert "USER" not in known


def test_it_imports_next_to_nothing() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PROGRAMS)!r}); before = set(sys.modules); "
        "import cslr_images_start; print(sorted(set(sys.modules) - before))"
    )
    env = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "USER": "x"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['cslr_images_start']"
