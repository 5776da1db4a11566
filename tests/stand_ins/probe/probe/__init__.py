"""A Dagger module that reports how its SDK runs it, for tests of the embedded engine's SDK."""

import json
import os
import sys
from importlib.metadata import entry_points, version
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import dagger
from dagger import dag, function, object_type
from dagger.client import _core, gen


@object_type
class Probe:
    """Report how an SDK runs a module."""

    @function
    def facts(self) -> str:
        """Return as JSON: Python, working folder, variables, versions, where things are."""
        try:
            dag.directory().file(1)  # type: ignore[arg-type] # what the client's run-time checks refuse
            checked = ""
        except Exception as error:  # noqa: BLE001 - whatever the checks raise
            checked = type(error).__name__
        names = ("DAGGER_", "PIP_", "PYTHON", "UV_", "LANG", "PATH", "HOME")
        facts: dict[str, Any] = {
            "checked": checked,
            "client_compiled": Path(cache_from_source(gen.__file__)).exists(),
            "client_version": version("dagger-io"),
            "command": sys.argv,
            "entry_points": [point.value for point in entry_points(group="dagger.mod")],
            "folder": str(Path.cwd()),
            "module": __file__,
            "python": sys.executable,
            "series": sys.version_info[:2],
            "user": os.geteuid(),
            "without_host": not hasattr(dag, "host"),
            "variables": {name: value for name, value in os.environ.items() if name.startswith(names)},
        }
        return json.dumps(facts)

    @function
    def folder(self) -> dagger.Directory:
        """Return a folder that was synced."""
        return dag.directory().with_new_file("file", "text")

    @function
    async def broken(self) -> dagger.Directory:
        """Return a folder whose id is plain text, as a patch of the client gave it once."""
        context: Any = _core.Context
        execute = context.execute

        async def execute_without_type(self: Any, kind: Any = None) -> Any:
            answer = await execute(self, kind)
            return str(answer) if kind is dagger.DirectoryID else answer

        context.execute = execute_without_type
        return await dag.directory().with_new_file("file", "text").sync()
