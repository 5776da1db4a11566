"""The reference page: every public function and argument, from the signatures and texts that `--help` shows."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any, get_args, get_origin, get_type_hints

from ci import choices
from ci.config.matrix import Matrix
from ci.config.sources import read_profiles
from ci.plan.inputs import RayMode

REFERENCE = "docs/reference.md"
HEAD = """\
# Reference

Every public function and argument, made from the module itself by `./daggerw call generate export --path .`: not
edited by hand. Arguments of [every call](#options-of-every-call) come before the function's name, its own after it;
what a function gives can be asked for more, as `dagger call FUNCTION --help` tells.
"""
# What the CLI takes for the types of the arguments, by the names of the types.
TAKES: Mapping[str, str] = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "nothing: a switch",
    "File": "a file's path",
    "Directory": "a folder's path",
    "Container": "an image's name",
    "Service": "`tcp://HOST:PORT`",
    "Secret": "`env:NAME` or `file:PATH`",
}
GIVES: Mapping[str, str] = {"str": "text", "Container": "an image", "Directory": "a folder"}


def reference(
    module: type, options: Iterable[Field[Any]], aliases: Mapping[str, object], matrix: Matrix
) -> str:
    """Return the page (Markdown) of a module's main object, with the values that go with a matrix.

    `options` are the fields of the object, `aliases` the types of arguments by the names that `ci.args` gives them.
    """
    hints = get_type_hints(module, include_extras=True)
    values = accepted(matrix)
    known = [(aliases[name], text) for name, text in values.items()]
    of_every_call = [
        _row(field.name, hints[field.name], field.default, known)
        for field in options
        if field.default is not MISSING
    ]
    functions = public(module)
    lines = [HEAD, "## The matrix", "", *_pairs(matrix), ""]
    lines += ["Targets: " + ", ".join(f"`{target}`" for target in matrix.targets) + ".", ""]
    lines += ["## Functions", "", *_table(("function", "what it does"), _index(functions)), ""]
    lines += ["## Options of every call", "", *_table(COLUMNS, of_every_call)]
    for name, method in functions.items():
        lines += ["", f"## {name}", "", described(method), "", f"    ./daggerw call {example(method)}", ""]
        found = get_type_hints(method, include_extras=True)
        rows = [
            _row(parameter.name, found[parameter.name], parameter.default, known)
            for parameter in inspect.signature(method).parameters.values()
            if parameter.name != "self"
        ]
        lines += [*_table(COLUMNS, rows), ""] if rows else []
        lines.append(f"Gives {_gives(found['return'])}.")
    return "\n".join(lines) + "\n"


def public(module: type) -> dict[str, Callable[..., Any]]:
    """Return the public functions of a module's main object by their names on the command line, in their order."""
    return {cli(name): value for name, value in vars(module).items() if hasattr(value, "__dagger_function__")}


def cli(name: str) -> str:
    """Return how the command line writes a name: `ray-runtime`."""
    return name.replace("_", "-")


def example(method: Callable[..., Any]) -> str | None:
    """Return the example in a function's text: the last thing in it that is a call of the function."""
    found = re.findall(rf"`({cli(method.__name__)}(?: [^`]*)?)`", inspect.getdoc(method) or "")
    return found[-1] if found else None


def described(method: Callable[..., Any]) -> str:
    """Return a function's text without the example at its end."""
    text = inspect.getdoc(method) or ""
    return re.sub(rf"(\s*Example)?: `{cli(method.__name__)}( [^`]*)?`\.?$", "", text).rstrip(".") + "."


def accepted(matrix: Matrix) -> dict[str, str]:
    """Return the accepted values of arguments, by the names of their types in `args`."""
    cudas, pythons = (
        dict.fromkeys(found) for found in zip(*((p.cuda, p.python) for p in matrix.pairs), strict=True)
    )
    one: dict[str, Iterable[object]] = {
        "Cuda": cudas,
        "Cudas": cudas,
        "Python": pythons,
        "Pythons": pythons,
        "Target": matrix.targets,
        "Targets": matrix.targets,
        "Phases": matrix.phases,
        "SourcesName": read_profiles(),
        "Variant": matrix.variants,
        "RayMode": get_args(RayMode),
        "PlanFormat": choices.PLAN_FORMATS,
        "ReportFormat": choices.REPORT_FORMATS,
        "SizeFormat": choices.SIZE_FORMATS,
        "Compression": choices.COMPRESSIONS,
    }
    ranges = {
        "Jobs": (1, choices.MAX_JOBS),
        "Limit": (1, choices.MAX_CELLS),
        "DiskFloor": (0, choices.MAX_DISK_FLOOR),
    }
    return {
        **{name: ", ".join(f"`{value}`" for value in values) for name, values in one.items()},
        **{name: f"{low} to {high}" for name, (low, high) in ranges.items()},
    }


# -- parts of the page -------------------------------------------------------------------------------------

COLUMNS = ("argument", "takes", "unless given", "")


def _pairs(matrix: Matrix) -> list[str]:
    rows = []
    for pair in matrix.pairs:
        phases = f"runtimes {pair.phases.runtime}, devels {pair.phases.devel}" if pair.phases else "none"
        asked = "" if pair.default else "only when asked for"
        rows.append((f"`{pair.cuda}`", f"`{pair.python}`", phases, asked))
    return _table(("`--cuda`", "`--python`", "build phases", ""), rows)


def _index(functions: Mapping[str, Callable[..., Any]]) -> Iterator[tuple[str, ...]]:
    for name, method in functions.items():
        yield f"[{name}](#{name})", described(method).split("\n", 1)[0]


def _row(name: str, hint: object, default: object, known: Iterable[tuple[object, str]]) -> tuple[str, ...]:
    kind, *extras = get_args(hint)
    text = next(extra.documentation for extra in extras if hasattr(extra, "documentation"))
    values = next((values for alias, values in known if alias == hint), "")
    if default is inspect.Parameter.empty:
        otherwise = "required"
    else:
        otherwise = "" if default is None or default is False else f"`{default}`"
    takes = _takes(kind)
    return f"`--{cli(name)}`", f"{takes}: {values}" if values else takes, otherwise, text


def _takes(kind: object) -> str:
    inner = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is list:
        return f"{_takes(inner[0])}, several with commas"
    return _takes(inner[0]) if inner else TAKES[getattr(kind, "__name__", "")]


def _gives(kind: object) -> str:
    if get_origin(kind) is list:
        return "lines of text"
    return GIVES.get(getattr(kind, "__name__", ""), "a file")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    escaped = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in (head, *rows)]
    return [f"| {escaped[0]} |", f"|{'---|' * len(head)}", *(f"| {row} |" for row in escaped[1:])]
