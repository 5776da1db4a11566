"""trim_env.py on a tree as wheels make it."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.patterns import expression
from tests.programs.conftest import PROGRAMS

SITE = "lib/python3.13/site-packages"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """Make an environment with one package: its own files, tests, an archive, and a program outside of its folder."""
    root = tmp_path / "env"
    files = {
        f"{SITE}/pkg/__init__.py": "x = 1\n",
        f"{SITE}/pkg/lib.a": "a" * 100,
        f"{SITE}/pkg/tests/__init__.py": "",
        f"{SITE}/pkg/tests/data/big": "b" * 50,
        f"{SITE}/pkg/testing/kept.py": "x = 2\n",
        "share/doc/pkg/readme": "read me",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    info = root / SITE / "pkg-1.dist-info"
    info.mkdir()
    names = [os.path.relpath(root / name, root / SITE) for name in files]
    rows = [[name, "sha256=x", "1"] for name in names] + [["pkg-1.dist-info/RECORD", "", ""]]
    with (info / "RECORD").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    return root


def trim(env: Path, rules: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Run the program, and return its report."""
    given = env.parent / "rules.json"
    given.write_text(json.dumps(rules))
    command = [sys.executable, str(PROGRAMS / "trim_env.py"), str(env), "--rules", str(given)]
    report: dict[str, dict[str, int]] = json.loads(subprocess.check_output(command, text=True))
    return report


def recorded(env: Path) -> set[str]:
    """Return the paths that the package's RECORD lists."""
    with (env / SITE / "pkg-1.dist-info/RECORD").open(newline="") as lines:
        return {row[0] for row in csv.reader(lines)}


def test_what_a_rule_names_goes_and_is_counted(env: Path) -> None:
    report = trim(env, [{"name": "tests", "remove": ["lib/python3.*/site-packages/**/tests/**"]}])
    assert report == {"tests": {"files": 2, "bytes": 50}}
    assert not (env / SITE / "pkg/tests").exists(), "folders that are left empty go too"
    assert (env / SITE / "pkg/testing/kept.py").exists()


def test_the_packages_list_of_files_is_true_afterwards(env: Path) -> None:
    trim(env, [{"name": "docs", "remove": ["share/doc/**"]}, {"name": "archives", "remove": ["**/*.a"]}])
    there = {name for name in recorded(env) if (env / SITE / name).exists()}
    assert recorded(env) == there
    assert len(there) == 5


def test_folders_keep_their_times(env: Path) -> None:
    folders = [env / SITE / "pkg", env / SITE / "pkg-1.dist-info"]
    for folder in folders:
        os.utime(folder, (1, 1))
    trim(
        env, [{"name": "tests", "remove": ["lib/**/tests/**"]}, {"name": "docs", "remove": ["share/doc/**"]}]
    )
    assert [folder.stat().st_mtime for folder in folders] == [1, 1]


def test_what_must_stay_stays_and_the_first_rule_counts(env: Path) -> None:
    rules = [
        {"name": "first", "remove": ["**/data/**"]},
        {"name": "second", "remove": ["**/tests/**", "**/*.a"], "unless": ["**/pkg/*.a"]},
    ]
    assert trim(env, rules) == {"first": {"files": 1, "bytes": 50}, "second": {"files": 1, "bytes": 0}}
    assert (env / SITE / "pkg/lib.a").exists()


def test_a_rule_that_finds_nothing_is_seen_in_the_report(env: Path) -> None:
    before = recorded(env)
    assert trim(env, [{"name": "none", "remove": ["**/*.nothing"]}]) == {"none": {"files": 0, "bytes": 0}}
    assert recorded(env) == before


def test_a_file_with_another_name_frees_nothing_until_the_last_goes(env: Path) -> None:
    os.link(env / SITE / "pkg/lib.a", env / SITE / "pkg/other")
    assert trim(env, [{"name": "archives", "remove": ["**/*.a"]}])["archives"] == {"files": 1, "bytes": 0}
    assert trim(env, [{"name": "rest", "remove": ["**/other"]}])["rest"] == {"files": 1, "bytes": 100}


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**/*.a", "x.a", True),
        ("**/*.a", "lib/deep/x.a", True),
        ("lib/*.a", "lib/deep/x.a", False),
        ("lib/**", "lib/deep/x.a", True),
        ("**/tests/**", "pkg/tests/data/x", True),
        ("**/tests/**", "pkg/mytests/x", False),
        ("lib/python3.?*/x", "lib/python3.13/x", True),
        ("a.b", "axb", False),
        ("a\nb", "a\nb", True),
    ],
)
def test_patterns(pattern: str, path: str, *, fits: bool) -> None:
    assert bool(re.fullmatch(expression(pattern), path, re.DOTALL)) == fits


OWN_TESTS = [{"name": "tests", "remove": [f"{SITE}/**/tests/**", f"{SITE}/**/test/**"], "only_tests": True}]


def write(env: Path, name: str, text: str = "") -> Path:
    path = env / SITE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_folders_of_real_tests_go(env: Path) -> None:
    gone = [
        write(env, "pkg/tests/test_x.py"),
        write(env, "pkg/tests/data/big"),
        write(env, "web/test/conftest.py"),
    ]
    write(env, "web/__init__.py", "# see web.test\nimport os\n")
    write(env, "pkg/tests/deep/test_y.py", "from pkg.tests import test_x\nfrom web.test import conftest\n")
    assert trim(env, OWN_TESTS)["tests"]["files"] == 5
    assert not any(path.exists() for path in gone)


def test_a_library_that_is_called_so_stays(env: Path) -> None:
    kept = [write(env, "django/test/__init__.py"), write(env, "django/test/client.py")]
    report = trim(env, OWN_TESTS)
    assert all(path.exists() for path in kept)
    assert f"{SITE}/django/test" in report["tests"]["kept"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("app/run.py", "import lib.tests.helpers as h\n"),
        ("app/run.py", "from lib import tests\n"),
        ("app/run.py", "def f():\n    from lib.tests.helpers import go\n"),
        ("app/settings.py", "RUNNER = 'lib.tests.helpers.Runner'\n"),
        ("lib/run.py", "from .tests import helpers\n"),
        ("lib/run.py", "from . import (\n    os,\n    tests,\n)\n"),
        ("lib/deep/run.py", "from ..tests.helpers import go\n"),
        ("lib/run.py", "from lib.tests import x\nfor newer Python\n"),
        ("other/tests/library.py", "import lib.tests\n"),
    ],
)
def test_what_anything_else_imports_stays(env: Path, module: str, text: str) -> None:
    helpers = write(env, "lib/tests/helpers.py")
    write(env, "lib/tests/test_lib.py")
    write(env, module, text)
    trim(env, OWN_TESTS)
    assert helpers.exists()


def test_without_an_import_the_same_folder_goes(env: Path) -> None:
    helpers = write(env, "lib/tests/helpers.py")
    write(env, "lib/tests/test_lib.py")
    write(env, "app/run.py", "import lib\nfrom app import testing\n")
    trim(env, OWN_TESTS)
    assert not helpers.exists()


def test_condas_lists_of_files_are_true_afterwards(env: Path) -> None:
    listed = ["share/doc/pkg/readme", f"{SITE}/pkg/__init__.py"]
    rows = [{"_path": name, "path_type": "hardlink"} for name in listed]
    (env / "conda-meta").mkdir()
    record, other = env / "conda-meta/pkg-1-0.json", env / "conda-meta/other-1-0.json"
    record.write_text(json.dumps({"name": "pkg", "files": listed, "paths_data": {"paths": rows}, "size": 7}))
    other.write_text('{"name": "other",   "files": []}')
    os.utime(record, (5, 5))
    trim(env, [{"name": "docs", "remove": ["share/doc/**"]}])
    left = json.loads(record.read_text())
    assert left == {"name": "pkg", "files": listed[1:], "paths_data": {"paths": rows[1:]}, "size": 7}
    assert record.stat().st_mtime == 5
    assert other.read_text() == '{"name": "other",   "files": []}', (
        "a list that was true is not written again"
    )
