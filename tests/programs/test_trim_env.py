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
