"""Builds the Go programs: the Dagger CLI and engine with their helpers, and crane."""

import os
import re
import shutil
from pathlib import Path

from engine.output import EngineError
from engine.paths import SOURCE, VERSION
from engine.processes import Commands, read_output

MODULE = SOURCE / "tools"
DAGGER = "github.com/dagger/dagger"
PROGRAMS = [f"{DAGGER}/cmd/{name}" for name in ("dagger", "engine", "dnsname", "init", "codegen")] + [
    "github.com/google/go-containerregistry/cmd/crane"
]
# What the machine's environment says about Go must not change what is built.
SETTINGS = {"GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def check_go_version() -> str:
    wanted = re.search(r"^go (\d+)\.(\d+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert wanted
    need = f"Go {wanted[1]}.{wanted[2]} or newer"
    if not shutil.which("go"):
        raise EngineError(f"needs {need} on PATH to build the embedded engine, and finds no go")
    version = read_output(["go", "env", "GOVERSION"])
    found = re.match(r"go(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < (int(wanted[1]), int(wanted[2])):
        raise EngineError(f"needs {need} to build the embedded engine, and finds {version}")
    return version


def build_tools(folder: Path, commands: Commands) -> None:
    linker_flags = f"-s -w -X {DAGGER}/engine.Version={VERSION} -X {DAGGER}/engine.Tag={VERSION}"
    commands.run(
        "go",
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-tags=dfexcludepatterns,dfparents",
        f"-ldflags={linker_flags}",
        f"-o={folder}{os.sep}",
        *PROGRAMS,
        cwd=MODULE,
        env=SETTINGS,
    )


def find_toolchain() -> Path:
    """Where the machine's Go lives: containers that build the SDK get a copy."""
    return Path(read_output(["go", "env", "GOROOT"]))
