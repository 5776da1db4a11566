"""The pure core stays pure: no Dagger, no network, no clock, whoever imports it and wherever it runs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

PURE = (
    "errors",
    "effort",
    "documents",
    "fields",
    "variants",
    "gates",
    "schedule",
    "ledger",
    "matrix",
    "sources",
    "indexes",
    "releases",
    "answers",
    "requirements",
    "code",
    "lock",
    "specs",
    "caches",
    "commands",
    "dockerfile",
    "shop",
    "line",
    "pair",
    "plan",
    "bundle",
    "lint",
    "promises",
    "survey",
    "tags",
    "bake",
    "workflows",
    "generate",
    "records",
    "triage",
    "outlook",
    "pins",
    "latest",
    "bump",
)

# What a pure module may import from outside: nothing here reads a clock, a network, a process or the machine.
ALLOWED = {
    "collections",
    "dataclasses",
    "enum",
    "difflib",
    "fnmatch",
    "functools",
    "hashlib",
    "html",
    "importlib",
    "json",
    "operator",
    "packaging",
    "pydantic",
    "re",
    "shlex",
    "tomlkit",
    "tomllib",
    "types",
    "typing",
    "urllib",
}

# Of these only a part is pure.
PARTS = {
    "urllib": {"urllib.parse"},
    "importlib": {"importlib", "importlib.resources.abc"},
    "html": {"html.parser"},
}

CLIENTS = {"dagger", "httpx", "gql", "anyio", "aiohttp", "requests", "opentelemetry", "rich"}
IMPURE = {"asyncio", "urllib.request", "http.client", "ssl", "ci.main", "ci.edge", "ci.verify", "ci.stages"}


def source(module: str) -> str:
    """Return the text of a module of `ci`."""
    return resources.files("ci").joinpath(f"{module}.py").read_text("utf-8")


def imported(module: str) -> Iterator[str]:
    """Give the full name of every module that a module of `ci` imports, anywhere in its text."""
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports here are absolute"
            assert node.module
            yield from (f"ci.{alias.name}" for alias in node.names) if node.module == "ci" else [node.module]


def fresh(tmp_path: Path, program: str) -> str:
    """Run a program in a new interpreter in which no Dagger can be imported, and return what it prints."""
    blocked = (
        "import sys\n"
        "class NoDagger:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'dagger':\n"
        "            raise ModuleNotFoundError('no dagger here', name='dagger')\n"
        "sys.meta_path.insert(0, NoDagger())\n"
    )
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", blocked + program],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_only_pure_ones(module: str) -> None:
    for name in imported(module):
        top = name.partition(".")[0]
        if top == "ci":
            assert name.removeprefix("ci.") in PURE, f"{module} imports {name}"
        else:
            assert top in ALLOWED, f"{module} imports {name}"
            assert name in PARTS.get(top, {name}), f"{module} imports {name}"


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_nothing_by_name_at_run_time(module: str) -> None:
    called = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(source(module))) if isinstance(node, ast.Call)
    }
    assert not called & {
        "__import__",
        "import_module",
        "importlib.import_module",
        "exec",
        "eval",
        "open",
        "print",
    }


def test_modules_import_each_other_in_one_direction() -> None:
    needs = {module: {name[3:] for name in imported(module) if name.startswith("ci.")} for module in PURE}
    done: set[str] = set()
    while ready := {module for module in PURE if module not in done and needs[module] <= done}:
        done |= ready
    assert done == set(PURE)


def test_importing_the_pure_core_loads_no_client_of_anything(tmp_path: Path) -> None:
    program = (
        f"import importlib, json\nfor name in {PURE!r}:\n    importlib.import_module('ci.' + name)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    loaded = set(json.loads(fresh(tmp_path, program)))
    assert {f"ci.{name}" for name in PURE} <= loaded
    assert not {name.partition(".")[0] for name in loaded} & CLIENTS
    assert not loaded & IMPURE


def test_planning_opens_no_socket_and_no_file_and_starts_nothing(tmp_path: Path) -> None:
    program = (
        "import json, socket\n"
        "from tests.unit.plans import CELLS, cell, shop\n"
        "from ci.survey import survey, text\n"
        "from ci.pair import needed_pages\n"
        "from ci.plan import make_plan\n"
        "from ci.promises import promises\n"
        "from ci.records import History\n"
        "def refuse(*_, **__): raise AssertionError('a socket was opened')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "stands = [shop('upstream'), shop('registries')]\n"
        "events = set()\n"
        "sys.addaudithook(lambda event, _: events.add(event))\n"
        "for stand in stands:\n"
        "    for name in CELLS:\n"
        "        needed_pages(cell(name), stand)\n"
        "        made = make_plan(cell(name), stand, {})\n"
        "        text(survey([made], {}, History())), promises(made)\n"
        "print(json.dumps(sorted(events)))\n"
    )
    events = json.loads(fresh(tmp_path, program))
    touching = (
        "socket.",
        "subprocess.",
        "os.",
        "open",
        "shutil.",
        "tempfile.",
        "urllib.",
        "time.",
        "ctypes.",
    )
    assert [event for event in events if event.startswith(touching)] == []


def test_the_modules_own_process_starts_no_program_and_reads_no_variable() -> None:
    # So that it does not matter which programs and variables an SDK's container has (engine/README.md).
    root = Path(__file__).parents[2] / "ci"
    modules = [path for path in root.rglob("*.py") if "programs" not in path.relative_to(root).parts]
    assert len(modules) > 50
    names = {
        (path.name, ast.unparse(node))
        for path in modules
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute | ast.Name | ast.alias)
    }
    touching = ("subprocess", "os.environ", "os.getenv", "os.system", "os.exec", "os.spawn", "shutil.which")
    assert [one for one in names if one[1].startswith(touching)] == []
