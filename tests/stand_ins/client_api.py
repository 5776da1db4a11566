"""List what `ci` uses of Dagger's client, and what the installed client has of it.

`python -m tests.stand_ins.client_api` prints it as JSON, with the fields of the API's root (`root`) as
`tests/unit/data/dagger_names.toml` keeps them.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagger
from dagger.client import gen
from dagger.mod._converter import to_typedef

import ci

# The classes whose methods `ci` calls; a method's name may also exist in classes that it does not use.
KINDS = [
    "Client",
    "Container",
    "CurrentModule",
    "Directory",
    "EnvVariable",
    "File",
    "GitRef",
    "GitRepository",
    "Port",
    "Secret",
    "Service",
]


def used_names() -> set[str]:
    """Return what `ci` uses and this client has: `dagger.dag`, `File.name`, `Container.with_exec(expect=)`."""
    found = {f"dagger.{name}" for name in imported_names() if hasattr(dagger, name)}
    for name, keywords in method_calls():
        for kind in KINDS:
            method = getattr(getattr(dagger, kind), name, None)
            if inspect.isfunction(method):
                taken = inspect.signature(method).parameters
                found |= {
                    f"{kind}.{name}",
                    *(f"{kind}.{name}({word}=)" for word in keywords if word in taken),
                }
    return found


def method_calls() -> Iterator[tuple[str, set[str]]]:
    """Yield the name and keywords of each method call in the files of `ci` that import Dagger."""
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if isinstance(node.func.value, ast.Name) and node.func.value.id == "dagger":
                    continue
                yield node.func.attr, {word.arg for word in node.keywords if word.arg}


def imported_names() -> set[str]:
    """Return the names that `ci` imports from the package itself: `dagger.Container`, `from dagger import dag`."""
    found = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "dagger":
                found |= {alias.name for alias in node.names}
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "dagger"
            ):
                found.add(node.attr)
    return found


def describe_module() -> dict[str, Any]:
    """Describe the module as it does itself to the engine: each function with its arguments.

    The function without a name is the main object's constructor; its arguments are the options of every call.
    """
    module: Any = ci.CslrImages
    main_object = module.__dagger_module__.get_object("CslrImages")
    main_object.get_constructor()  # puts it among the functions
    found = {}
    for name, function in main_object.functions.items():
        to_typedef(function.return_type)  # refuses what the engine does not know
        found[name] = {
            "doc": function.doc,
            "cache": function.cache_policy,
            "check": function.check,
            "returns": str(function.return_type),
            "takes": {one.name: _argument(one) for one in function.parameters.values()},
        }
    return found


def root_fields() -> list[str]:
    """Return the fields of the API's root that the client has, without those that load an object by its id."""
    names = {kind.__name__ for kind in dagger.Client.__mro__}
    classes = [
        node
        for node in ast.parse(inspect.getsource(gen)).body
        if isinstance(node, ast.ClassDef) and node.name in names
    ]
    found = {
        str(node.args[0].value)
        for made in classes
        for node in ast.walk(made)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "_select"
        and isinstance(node.args[0], ast.Constant)
    }
    return sorted(name for name in found if not (name.startswith("load") and name.endswith("FromID")))


def _argument(parameter: Any) -> list[str]:
    to_typedef(parameter.resolved_type)
    return [str(parameter.resolved_type), str(parameter.doc), str(parameter.default_value)]


def _trees() -> list[ast.Module]:
    texts = [path.read_text("utf-8") for path in Path(ci.__file__).parent.rglob("*.py")]
    return [ast.parse(text) for text in texts if "import dagger" in text or "from dagger" in text]


if __name__ == "__main__":
    found = {"version": version("dagger-io"), "used": sorted(used_names()), "root": root_fields()}
    print(json.dumps({**found, "exports": sorted(gen.__all__), "described": describe_module()}))
