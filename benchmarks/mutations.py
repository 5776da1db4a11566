"""Count how many small mistakes the tests notice: `python -m benchmarks.mutations` writes its part of BENCHMARKS.md.

A sample of mutants is drawn by a fixed seed (`benchmarks.mutants`) from the pure packages and from the programs that
do little but compute. First the tests run once to see which of them execute which line. Then each mutant is
tried in a copy of the tree by the tests that execute its statement and by those of its file's name, the quickest first,
until one fails. A mutant whose tests all pass survives; equivalent ones count as survivors too. Tests that fail in that
copy without a mutant are left out, and tests that do not end with one must end without it. Needs no engine;
takes an hour on two cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import coverage

from benchmarks.mutants import Mutant, draw, statement_lines
from benchmarks.page import machine, put
from tests.engine.conftest import ROOT

SEED = 16
COUNT = 300
GOAL = 85  # percent
PROCESSES = 2
PACKAGES = ("util", "config", "index", "plan", "history", "report", "generate")
PROGRAMS = (
    "common",
    "extensions",
    "compare_layer.py",
    "copy_changes.py",
    "make_bundle.py",
    "measure_sizes.py",
    "mirror_channel.py",
    "read_indexes.py",
    "read_tag.py",
    "trim_env.py",
)
# Tests of programs whose parts have none, or few, of their own; some compile for minutes.
WHOLE_PROGRAMS = {"test_compile_wheels.py", "test_examples.py"}
# Unit tests that execute nothing of these, or only what others execute more quickly.
NOT_TRACED = (
    "test_complete", "test_composing", "test_daggerw", "test_engine", "test_engine_go_builds", "test_engine_sdk",
    "test_progress", "test_sweep_script",
)  # fmt: skip
# Processor seconds that a mutant's tests take at most when they run by themselves; and how much longer they may take.
MOST_SECONDS = 60.0
STARTS = 120.0  # a busy machine must not make a mutant look noticed
PATIENCE = 8.0
TRACED = "traced"  # the folder of what was traced, in a copy of the tree


@dataclass
class Traced:
    """What the tests do without a mutant: the seconds of each that passes, and by file and line who executes it."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    def add_lines(self, file: Path, tree: Path) -> None:
        """Add what a file of coverage has of the files of a tree."""
        data = coverage.CoverageData(str(file))
        data.read()
        for measured in data.measured_files():
            by_line = self.lines.setdefault(Path(measured).relative_to(tree).as_posix(), {})
            for line, contexts in data.contexts_by_lineno(measured).items():
                by_line.setdefault(line, set()).update(filter(None, contexts))

    def tests_for(self, mutant: Mutant, source: str) -> list[str]:
        """Return the tests that may notice a mutant, those of the file's name first, then the quickest."""
        by_line = self.lines.get(mutant.path, {})
        found: set[str] = set()
        for line in statement_lines(source, mutant.line):
            found |= by_line.get(line, set())
        if not found:  # run when the file is imported: whoever executes anything of it can notice
            found = set().union(*by_line.values())
        named = {test for test in self.seconds if is_named_after(test, mutant.path)}
        order = sorted(
            (found | named) & set(self.seconds), key=lambda one: (one not in named, self.seconds[one])
        )
        taken = 0.0
        chosen: list[str] = []
        for test in order:
            taken += self.seconds[test]
            if taken > MOST_SECONDS and chosen:
                break
            chosen.append(test)
        return chosen


def is_named_after(test: str, path: str) -> bool:
    """Return whether a test is in the file that is named after a file of the module.

    >>> is_named_after("tests/unit/plan/test_tags.py::test_one", "ci/plan/tags.py")
    True
    >>> is_named_after("tests/programs/test_common_elf.py::test_one", "ci/programs/common/elf.py")
    True
    """
    parts = Path(path).with_suffix("").parts
    if parts[1] == "programs":
        return test.startswith(f"tests/programs/test_{'_'.join(parts[2:])}.py::")
    return test.startswith(f"tests/unit/{'/'.join(parts[1:-1])}/test_{parts[-1]}.py::")


def pure_files() -> list[str]:
    """List the files that mutants are drawn from, by their paths in the tree."""
    places = [*(f"ci/{name}" for name in PACKAGES), *(f"ci/programs/{name}" for name in PROGRAMS)]
    files = [
        file
        for place in places
        for file in ([ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")))
    ]
    return [file.relative_to(ROOT).as_posix() for file in files if file.name != "__init__.py"]


def test_files(paths: Sequence[str]) -> list[str]:
    """List the files of tests that are traced."""
    unit = [path for path in sorted((ROOT / "tests/unit").rglob("test_*.py")) if path.stem not in NOT_TRACED]
    names = {program_tests(path) for path in paths if path.startswith("ci/programs/")} | WHOLE_PROGRAMS
    programs = [path for path in sorted((ROOT / "tests/programs").glob("test_*.py")) if path.name in names]
    return [path.relative_to(ROOT).as_posix() for path in (*unit, *programs)]


def program_tests(path: str) -> str:
    """Return the name of the file of tests of a program or of one of its parts."""
    name = "_".join(Path(path).with_suffix("").parts[2:])
    return f"test_{name}.py"


def copy_tree(folder: Path) -> Path:
    """Copy the tree as it is, without what git ignores."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def environment(tree: Path) -> dict[str, str]:
    """Return the variables of a run of tests in a copy of the tree."""
    own = {"PYTHONPATH": str(tree), "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".hypothesis")}
    return {**os.environ, **own, "CSLR_TESTS_COMPLETE": ""}


def trace(trees: Sequence[Path], files: Sequence[str]) -> Traced:
    """Run the tests once, some in each copy of the tree."""
    found = Traced()
    with ThreadPoolExecutor(len(trees)) as pool:
        shares = [files[number :: len(trees)] for number in range(len(trees))]
        for tree in pool.map(trace_share, trees, shares):
            told = json.loads((tree / TRACED / "seconds.json").read_text("utf-8"))
            found.seconds |= told["seconds"]
            found.failed |= set(told["failed"])
            for file in sorted((tree / TRACED).glob("traced*")):
                found.add_lines(file, tree)
    return found


def trace_share(tree: Path, files: Sequence[str]) -> Path:
    """Trace some files of tests in a copy of the tree."""
    command = [sys.executable, "-m", "benchmarks.trace_tests", TRACED, *files]
    subprocess.run(command, cwd=tree, env=environment(tree), check=True, stdout=subprocess.DEVNULL)
    return tree


class Trier:
    """A process that tries mutants in a copy of the tree, one after the other."""

    def __init__(self, tree: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.try_mutants"]
        self._process = subprocess.Popen(
            command,
            cwd=tree,
            env=environment(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def attempt(self, path: str, code: str, tests: Sequence[str], limit: float) -> str:
        """Try a mutant; return `failed`, `did not end`, `survived` or `no test`."""
        assert self._process.stdin
        assert self._process.stdout
        asked = {"path": path, "code": code, "tests": [*tests], "limit": limit}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        if outcome := self._process.stdout.readline().strip():
            return outcome
        raise RuntimeError(f"the process that tries mutants ended: {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def try_all(trees: Sequence[Path], mutants: Sequence[Mutant], traced: Traced) -> dict[Mutant, str]:
    """Try each mutant, one at once in each copy of the tree."""
    sources = {mutant.path: (ROOT / mutant.path).read_text("utf-8") for mutant in mutants}
    free: SimpleQueue[Trier] = SimpleQueue()
    triers = [Trier(tree) for tree in trees]
    for trier in triers:
        free.put(trier)

    def attempt(path: str, code: str, tests: Sequence[str]) -> str:
        trier = free.get()
        limit = STARTS + PATIENCE * sum(traced.seconds[test] for test in tests)
        outcome = trier.attempt(path, code, tests, limit)
        free.put(trier)
        return outcome

    def find_failing(tests: list[str]) -> list[str]:
        """Return those of a file's tests that fail where mutants are tried, though nothing is changed."""
        path, source = next(iter(sources.items()))
        if attempt(path, source, tests) == "survived":
            return []
        return [test for test in tests if attempt(path, source, [test]) != "survived"]

    def try_one(numbered: tuple[int, Mutant]) -> tuple[Mutant, str]:
        number, mutant = numbered
        source = sources[mutant.path]
        tests = traced.tests_for(mutant, source)
        outcome = attempt(mutant.path, mutant.code(source), tests) if tests else "no test"
        if outcome == "did not end" and attempt(mutant.path, source, tests) != "survived":
            outcome = "did not end, nor without it"
        print(f"{number}/{len(mutants)} {mutant.path}:{mutant.line} {mutant.operator}: {outcome}", flush=True)
        return mutant, outcome

    with ThreadPoolExecutor(len(trees)) as pool:
        files: dict[str, list[str]] = {}
        chosen = {test for mutant in mutants for test in traced.tests_for(mutant, sources[mutant.path])}
        for test in sorted(chosen):
            files.setdefault(test.partition("::")[0], []).append(test)
        for failing in pool.map(find_failing, files.values()):
            for test in failing:
                traced.failed.add(test)
                del traced.seconds[test]
        print(f"not counted: {sorted(traced.failed)}", flush=True)
        found = dict(pool.map(try_one, enumerate(mutants, 1)))
    for trier in triers:
        trier.close()
    return found


def part(outcomes: dict[Mutant, str], places: int, minutes: float) -> str:
    """Write the numbers down."""
    noticed = {mutant for mutant, outcome in outcomes.items() if outcome in ("failed", "did not end")}
    survivors = sorted(outcomes.keys() - noticed)
    count = len(outcomes)
    ways = Counter(outcomes.values())
    share = f"{len(noticed)}: {100 * len(noticed) / count:.1f} %"
    lines = [
        "## Mutations",
        "",
        f"`python -m benchmarks.mutations`, {machine()}, {minutes:.0f} minutes.",
        f"{count} mutants, drawn by seed {SEED} from {places:,} places of the pure packages and of the programs",
        f"that do little but compute. The tests notice **{share}** (goal: {GOAL} %),",
        f"{ways['did not end']} by not ending.",
        "Survivors that change nothing that anybody could see are counted and listed too.",
        "",
        "| package | noticed | of |",
        "|---|---|---|",
    ]
    packages = Counter(package_of(mutant.path) for mutant in outcomes)
    found = Counter(package_of(mutant.path) for mutant in noticed)
    lines += [f"| {name} | {found[name]} | {packages[name]} |" for name in sorted(packages)]
    lines += ["", f"Survivors ({len(survivors)}):", ""]
    for mutant in survivors:
        before, after = mutant.diff((ROOT / mutant.path).read_text("utf-8"))
        untested = ", executed by no test" if outcomes[mutant] == "no test" else ""
        lines += [f"- `{mutant.path}:{mutant.line}` {mutant.operator}{untested}", ""]
        lines += ["  ```diff", f"  - {before}", f"  + {after}", "  ```", ""]
    return "\n".join(lines)


def package_of(path: str) -> str:
    """Return the package of a file: `plan`, `programs`."""
    return path.split("/")[1]


def main() -> None:
    """Draw, trace, try, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=COUNT, help="how many mutants are drawn")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument(
        "--only", default="", metavar="PATH", help="files whose path begins so; leaves the page alone"
    )
    options = parser.parse_args()
    began = time.monotonic()
    files = pure_files()
    mutants, places = draw(ROOT, files, options.count, options.seed)
    with TemporaryDirectory(prefix="mutations-") as name:
        trees = [copy_tree(Path(name) / str(number)) for number in range(options.processes)]
        traced = trace(trees, test_files(files))
        print(f"{len(traced.seconds)} tests pass by themselves", flush=True)
        chosen = [mutant for mutant in mutants if mutant.path.startswith(options.only)]
        outcomes = try_all(trees, chosen, traced)
    text = part(outcomes, places, (time.monotonic() - began) / 60)
    if options.only or options.count != COUNT or options.seed != SEED:
        print(text)
    else:
        put("mutations", text)


if __name__ == "__main__":
    main()
