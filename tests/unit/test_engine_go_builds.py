"""Test that the SDK image's Go takes from its cache what the machine's Go has compiled. Go is real here."""

from pathlib import Path

import pytest

from engine.offline import copy_go_builds
from engine.processes import Commands, read_output

# A package that needs no other, so that little is compiled.
SOURCE = 'package client\n\nimport "unicode/utf8"\n\nvar Length = utf8.RuneLen(1)\n'


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a Go module; Go's cache is a new folder."""
    monkeypatch.setenv("GOCACHE", str(tmp_path / "cache"))
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "go.mod").write_text("module client\n\ngo 1.24\n")
    (folder / "client.go").write_text(SOURCE)
    return folder


def test_what_was_compiled_is_not_compiled_again(
    client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, target = tmp_path / "log", tmp_path / "target"
    copy_go_builds(tmp_path / "modules", client, target, Commands(log))
    files = {path.name for path in target.glob("??/*")}
    assert files < {path.name for path in (tmp_path / "cache").glob("??/*")}, "only what the client needs"

    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "go.mod").write_text("module module\n\ngo 1.24\n")
    (other / "module.go").write_text(SOURCE.replace("package client", "package module"))
    monkeypatch.setenv("GOCACHE", str(target))
    monkeypatch.setenv("CGO_ENABLED", "0")
    monkeypatch.setenv("GOFLAGS", "-trimpath")
    command = ["go", "list", "-deps", "-f", "{{.ImportPath}} {{.Stale}}", "."]
    assert read_output(command, cwd=other).splitlines() == ["unicode/utf8 false", "module true"]
