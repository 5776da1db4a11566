"""Name what a layer changes for the files below it: compare_layer.py LAYER --below TREE… --base ROOT …

LAYER and each TREE are copied over one another at the same prefix, LAYER last; ROOT is the image that they are put on.
Printed is a line of JSON: `{"changes": ["replaces bin/tool", …]}`, empty if the layer only adds to what is there.

An added file counts as a change too where others would behave otherwise because of it: one that runs as Python
starts, one in the folder of a package, a module or a command by the name of another, a plugin of a package, and any
in a folder that is not known to be harmless. Not found is a package that behaves otherwise because it finds one more
package to import; nor are plugins of `distutils`, which only a package's own build loads.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Folders of data. A file directly below the prefix is harmless too (wheels put licences there), with one exception.
HARMLESS = ("etc", "share")
VENV = "pyvenv.cfg"
CACHE = "__pycache__"
# Python runs these as it starts (module `site`).
STARTUP = ("sitecustomize", "usercustomize")
MODULE = re.compile(r"(\w+)(\.[\w.+-]*)?\.(py|pyc|pyi|so)")
# Groups of entry points that hold commands, not plugins.
COMMANDS = ("console_scripts", "gui_scripts")


@dataclass(frozen=True)
class Below:
    """The files under a layer: trees at the same prefix, the folder of Python packages there, folders of commands."""

    trees: tuple[Path, ...]
    packages: PurePosixPath
    commands: tuple[Path, ...]

    def kinds(self, path: PurePosixPath) -> set[str]:
        """Return what a path is in the trees: `folder`, `other` or both; empty where it is new."""
        found = set()
        for tree in self.trees:
            try:
                mode = (tree / path).lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            found.add("folder" if stat.S_ISDIR(mode) else "other")
        return found

    def names(self, folder: PurePosixPath) -> set[str]:
        """Return the names in a folder of all trees."""
        trees = (tree / folder for tree in self.trees)
        return {one.name for tree in trees if tree.is_dir() for one in tree.iterdir()}

    def modules(self, folder: PurePosixPath) -> set[str]:
        """Return the names of the modules and packages in a folder."""
        return {module for name in self.names(folder) if (module := module_name(name))}


def module_name(name: str) -> str:
    """Return by which name Python imports a file or folder, empty if by none.

    >>> [module_name(name) for name in ("six.py", "six", "_x.cpython-313-x86_64-linux-gnu.so", "six-1.17.dist-info")]
    ['six', 'six', '_x', '']
    """
    match = MODULE.fullmatch(name)
    if match:
        return match[1]
    return name if name.isidentifier() and name != "__pycache__" else ""


def find_changes(layer: Path, below: Below) -> list[str]:
    """List what a layer changes, by the first file of each kind of change that is found in a folder."""
    changes: list[str] = []
    for place, folders, files in os.walk(layer):
        here = PurePosixPath(Path(place).relative_to(layer))
        for name in [*folders, *files]:
            path = here / name
            kinds, is_folder = below.kinds(path), not (layer / path).is_symlink() and (layer / path).is_dir()
            if kinds == {"folder"} and is_folder:
                continue
            if is_folder and name == CACHE:  # a new one may hold the bytecode of modules below
                continue
            # What another new folder holds is new too: only its own name can meet others.
            if is_folder:
                folders.remove(name)
            change = f"replaces {path}" if kinds else describe_addition(layer, path, below)
            changes += [change] if change else []
    return sorted(set(changes))


def describe_addition(layer: Path, path: PurePosixPath, below: Below) -> str:
    """Return what a new file or folder changes for others, empty if nothing."""
    here, name = path.parent, path.name
    if here == below.packages:
        return _describe_package(layer, path, below)
    if below.packages in here.parents:
        return _describe_part(layer, path, below)
    if str(here) == "bin":
        return (
            f"hides the command {name}" if any(os.path.lexists(one / name) for one in below.commands) else ""
        )
    is_data = path.parts[0] in HARMLESS or (len(path.parts) == 1 and not (layer / path).is_dir())
    return "" if is_data and path.name != VENV else f"adds {path}"


def _describe_package(layer: Path, path: PurePosixPath, below: Below) -> str:
    """Return what a new name among Python's packages changes for others."""
    name = path.name
    module = module_name(name)
    if name.endswith(".pth") or module in STARTUP:
        return f"runs {name} as Python starts"
    if module and module in below.modules(path.parent):
        return f"shadows the module {module}"
    groups = read_groups(layer / path / "entry_points.txt") if name.endswith(".dist-info") else []
    owners = below.modules(below.packages)
    plugins = {owner for group in groups if (owner := re.split(r"[._-]", group)[0]) in owners}
    return f"is a plugin of {', '.join(sorted(plugins))}: {name}" if plugins else ""


def _describe_part(layer: Path, path: PurePosixPath, below: Below) -> str:
    """Return what a new file in a folder of a package below changes."""
    inside = path.relative_to(below.packages).parts
    if path.parent.name == CACHE:
        # Python runs such bytecode without a look at the source: it is to lie in the layer of its module.
        source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
        return "" if (layer / source).is_file() or not below.kinds(source) else f"compiles {source} anew"
    module = module_name(path.name)
    for depth in range(1, len(inside)):
        folder = below.packages.joinpath(*inside[:depth])
        # Folders of several distributions have no __init__; those that are no packages have names like numpy.libs.
        if "__init__" in below.modules(folder) or not inside[depth - 1].isidentifier():
            return f"adds to {folder.relative_to(below.packages)}"
    if module and (module == "__init__" or module in below.modules(path.parent)):
        return f"shadows {'.'.join((*inside[:-1], module))}"
    return ""


def read_groups(path: Path) -> list[str]:
    """Return the groups of a distribution's entry points, without those of commands."""
    parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
    if path.is_file():
        parser.read(path, "utf-8")
    return [group for group in parser.sections() if group not in COMMANDS]


def main() -> None:
    """Compare the trees of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("layer", type=Path)
    parser.add_argument("--below", type=Path, nargs="+", required=True, metavar="TREE")
    parser.add_argument("--base", type=Path, required=True, metavar="ROOT")
    parser.add_argument(
        "--packages", type=PurePosixPath, required=True, metavar="lib/python3.13/site-packages"
    )
    parser.add_argument("--path", required=True, metavar="PATH", help="where commands are found in the image")
    options = parser.parse_args()
    commands = tuple(options.base / folder.lstrip("/") for folder in options.path.split(":"))
    below = Below(tuple(options.below), options.packages, commands)
    print(json.dumps({"changes": find_changes(options.layer, below)}))


if __name__ == "__main__":
    main()
