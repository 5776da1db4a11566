"""The pure packages stay pure: no Dagger, no network, no clock, no process, whoever imports them."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent.name for path in (ROOT / "ci").glob("*/__init__.py"))
PURE = ("util", "config", "index", "plan", "history", "report", "generate")
MODULES = sorted(path for package in PURE for path in (ROOT / "ci" / package).rglob("*.py"))
BESIDE = ["__init__.py", "args.py", "choices.py", "main.py"]

# Imports from outside `ci`: none of these reads a network, a process or the machine, and of `datetime` the functions
# that read the clock are refused below.
ALLOWED = {
    *(
        "base64",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "fnmatch",
        "functools",
        "hashlib",
        "inspect",
        "io",
        "itertools",
    ),
    *("json", "operator", "re", "shlex", "tomllib", "types", "typing"),
    *("packaging", "pydantic", "rich", "tomlkit"),
    *("html", "html.parser", "importlib", "importlib.resources.abc", "urllib.parse", "xml.etree"),
}
CLIENTS = {"dagger", "httpx", "gql", "anyio", "aiohttp", "requests", "opentelemetry"}
IMPURE = {"asyncio", "urllib.request", "http.client", "ssl"}


def name_of(path: Path) -> str:
    """Return a path below `ci` as the test's id."""
    return str(path.relative_to(ROOT / "ci"))


def imports(path: Path) -> Iterator[str]:
    """Give the full name of every module that a file imports, anywhere in its text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
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
    ran = subprocess.run(
        [sys.executable, "-c", blocked + program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_beside_the_packages_is_only_what_belongs_there() -> None:
    assert set(PURE) < set(PACKAGES)
    assert sorted(path.name for path in (ROOT / "ci").glob("*.py")) == BESIDE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_pure_package_imports_only_pure_ones(path: Path) -> None:
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "ci":
            assert rest.partition(".")[0] in {*PURE, "choices"}, f"{name_of(path)} imports {name}"
        else:
            whole = {name, first} if first in ("collections", "packaging", "rich") else {name}
            assert whole & ALLOWED, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_pure_package_reaches_nothing_by_a_call(path: Path) -> None:
    text = path.read_text("utf-8")
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    names = {"__import__", "import_module", "importlib.import_module", "exec", "eval", "open", "print"}
    assert not calls & names


def clock_readers(text: str) -> list[str]:
    """Return the uses of `datetime.now`, `datetime.utcnow`, `datetime.today` and `date.today` in a module's text."""
    tree = ast.parse(text)
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "utcnow", "today")
        and (node in called or ast.unparse(node.value).rpartition(".")[2] in ("datetime", "date"))
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_pure_package_reads_no_clock(path: Path) -> None:
    assert clock_readers(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "use",
    [
        "datetime.now(UTC)",
        "datetime.datetime.now()",
        "dt.utcnow()",
        "date.today()",
        "field(default_factory=datetime.now)",
        "today = datetime.date.today",
    ],
)
def test_a_use_of_the_clock_is_noticed(use: str) -> None:
    assert clock_readers(use)
    assert clock_readers(f"def f():\n    return [{use.removeprefix('today = ')}]")


@pytest.mark.parametrize(
    "use", ["date.fromisoformat(text)", "report.now", "f(now=now)", "datetime.strptime(a, b)"]
)
def test_a_date_without_the_clock_is_accepted(use: str) -> None:
    assert clock_readers(use) == []


def test_packages_import_each_other_in_one_direction() -> None:
    needs = {
        package: {
            name.split(".")[1]
            for path in (ROOT / "ci" / package).glob("*.py")
            for name in imports(path)
            if name.startswith("ci.") and name.split(".")[1] in PACKAGES
        }
        - {package}
        for package in PACKAGES
    }
    done: set[str] = set()
    while ready := {package for package in PACKAGES if package not in done and needs[package] <= done}:
        done |= ready
    assert done == set(PACKAGES), {
        package: needs[package] - done for package in PACKAGES if package not in done
    }


def test_importing_the_pure_packages_loads_no_client_of_anything(tmp_path: Path) -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    program = (
        f"import importlib, json\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    loaded = set(json.loads(fresh(tmp_path, program)))
    assert set(names) - {name for name in names if name.endswith("__init__")} <= loaded
    assert not {name.partition(".")[0] for name in loaded} & CLIENTS
    assert not loaded & IMPURE


def test_planning_opens_no_socket_and_no_file_and_starts_nothing(tmp_path: Path) -> None:
    program = (
        "import json, socket\n"
        "from tests.unit.plans import CELLS, cell, inputs\n"
        "from ci.plan.pair import list_extension_pages\n"
        "from ci.plan.planner import plan_cell\n"
        "def refuse(*_, **__): raise AssertionError('a socket was opened')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "every = [inputs('upstream'), inputs('registries')]\n"
        "events = set()\n"
        "sys.addaudithook(lambda event, _: events.add(event))\n"
        "for one in every:\n"
        "    for name in CELLS:\n"
        "        list_extension_pages(cell(name), one)\n"
        "        plan_cell(cell(name), one, {}).digest\n"
        "print(json.dumps(sorted(events)))\n"
    )
    events = json.loads(fresh(tmp_path, program))
    touching = (
        *("socket.", "subprocess.", "os.", "open", "shutil.", "tempfile.", "urllib.", "time.", "ctypes."),
    )
    assert [event for event in events if event.startswith(touching)] == []


def test_the_modules_own_process_starts_no_program_and_reads_no_variable() -> None:
    # So that it does not matter which programs and variables an SDK's container has (engine/README.md).
    root = ROOT / "ci"
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
