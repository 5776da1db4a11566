"""The reference page: every public function and argument, from the signatures and texts that `--help` shows."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING
from typing import Any, get_args, get_origin, get_type_hints

import dagger
from dagger import Doc

from ci import args
from ci.config.matrix import Matrix
from ci.config.sources import profiles
from ci.inspection import size_report as size
from ci.plan.inputs import RayMode
from ci.sdk.compat import own_fields
from ci.session import session as edge
from ci.sweep import publish, run

REFERENCE = "docs/reference.md"
HEAD = """\
# Reference

Every public function and argument, made from the module itself by `./daggerw call generate export --path .`: not
edited by hand. Arguments of [every call](#options-of-every-call) come before the function's name, its own after it;
what a function gives can be asked for more, as `dagger call FUNCTION --help` tells.
"""
# What the CLI takes for the types of the arguments.
TAKES: Mapping[object, str] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "nothing: a switch",
    dagger.File: "a file's path",
    dagger.Directory: "a folder's path",
    dagger.Container: "an image's name",
    dagger.Service: "`tcp://HOST:PORT`",
    dagger.Secret: "`env:NAME` or `file:PATH`",
}


def reference(module: type, matrix: Matrix) -> str:
    """Return the page (Markdown) of a module's main object, with the values that go with a matrix."""
    values = accepted(matrix)
    hints = get_type_hints(module, include_extras=True)
    options = [
        _row(field.name, hints[field.name], field.default, values)
        for field in own_fields(module)
        if field.default is not MISSING
    ]
    functions = public(module)
    lines = [HEAD, "## The matrix", "", *_pairs(matrix), ""]
    lines += ["Targets: " + ", ".join(f"`{target}`" for target in matrix.targets) + ".", ""]
    lines += ["## Functions", "", *_table(("function", "what it does"), _index(functions)), ""]
    lines += ["## Options of every call", "", *_table(COLUMNS, options)]
    for name, method in functions.items():
        lines += ["", f"## {name}", "", described(method), "", f"    ./daggerw call {example(method)}", ""]
        found = get_type_hints(method, include_extras=True)
        rows = [
            _row(parameter.name, found[parameter.name], parameter.default, values)
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
        "SourcesName": profiles(),
        "Variant": matrix.variants,
        "RayMode": get_args(RayMode),
        "PlanFormat": run.PLAN_FORMATS,
        "ReportFormat": run.FORMATS,
        "SizeFormat": size.FORMATS,
        "Compression": publish.COMPRESSIONS,
    }
    ranges = {"Jobs": (1, edge.MOST_JOBS), "Limit": (1, run.MOST_CELLS), "DiskFloor": (0, run.MOST_GB)}
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


def _row(name: str, hint: object, default: object, values: Mapping[str, str]) -> tuple[str, ...]:
    kind, *extras = get_args(hint)
    text = next(extra.documentation for extra in extras if isinstance(extra, Doc))
    known = next(
        (values[alias] for alias, value in vars(args).items() if value == hint and alias in values), ""
    )
    if default is inspect.Parameter.empty:
        otherwise = "required"
    else:
        otherwise = "" if default is None or default is False else f"`{default}`"
    takes = _takes(kind)
    return f"`--{cli(name)}`", f"{takes}: {known}" if known else takes, otherwise, text


def _takes(kind: object) -> str:
    inner = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is list:
        return f"{TAKES[inner[0]]}, several with commas"
    return _takes(inner[0]) if inner else TAKES[kind]


def _gives(kind: object) -> str:
    if get_origin(kind) is list:
        return "lines of text"
    names: Mapping[object, str] = {str: "text", dagger.Container: "an image", dagger.Directory: "a folder"}
    return names.get(kind, "a file")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    quote_value = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in (head, *rows)]
    return [f"| {quote_value[0]} |", f"|{'---|' * len(head)}", *(f"| {row} |" for row in quote_value[1:])]
