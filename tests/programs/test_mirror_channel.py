"""An environment's conda packages, downloaded once more as a channel."""

import hashlib
import json
from pathlib import Path

import pytest

import mirror_channel
from tests.stand_ins import servers

CONTENT = {
    "linux-64/python-3.13.5-h1_0.conda": b"python",
    "noarch/tzdata-2025-0.tar.bz2": b"tzdata",
}


def environment(prefix: Path, origin: str, sha256: str | None = None) -> Path:
    """Write what conda-meta tells of packages that came from an address."""
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "conda-meta/history").write_text("not a package\n")
    for path, content in CONTENT.items():
        subdir, _, name = path.partition("/")
        record = {
            "name": name.split("-")[0],
            "version": name.split("-")[1],
            "build": "0",
            "build_number": 0,
            "depends": ["glibc >=2.17"],
            "subdir": subdir,
            "url": f"{origin}/{path}",
            "fn": name,
            "sha256": sha256 or hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "files": ["bin/x"],
            "link": {"source": "/somewhere"},
        }
        (prefix / f"conda-meta/{name}.json").write_text(json.dumps(record))
    return prefix


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    for path, content in CONTENT.items():
        target = tmp_path / "served" / path
        target.parent.mkdir(parents=True)
        target.write_bytes(content)
    return tmp_path / "served"


def test_the_channel_has_the_packages_and_what_a_solver_must_know(tmp_path: Path, origin: Path) -> None:
    with servers.folder_over_http(origin, {f"/{next(iter(CONTENT))}": 1}) as port:
        prefix = environment(tmp_path / "env", f"http://127.0.0.1:{port}")
        assert mirror_channel.main([str(prefix), str(tmp_path / "out")]) == 0
    for path, content in CONTENT.items():
        assert (tmp_path / "out" / path).read_bytes() == content
    told = json.loads((tmp_path / "out/linux-64/repodata.json").read_text())
    (record,) = told["packages.conda"].values()
    assert told["packages"] == {}
    assert record["depends"] == ["glibc >=2.17"]
    assert not {"files", "link", "url"} & set(record)
    assert list(json.loads((tmp_path / "out/noarch/repodata.json").read_text())["packages"]) == [
        "tzdata-2025-0.tar.bz2"
    ]


def test_a_package_that_is_not_what_was_installed_is_refused(
    tmp_path: Path, origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with servers.folder_over_http(origin) as port:
        prefix = environment(tmp_path / "env", f"http://127.0.0.1:{port}", "0" * 64)
        assert mirror_channel.main([str(prefix), str(tmp_path / "out")]) == 1
    assert "expected 0000" in capsys.readouterr().err


def test_a_package_of_a_folder_has_no_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = environment(tmp_path / "env", "file:///channel")
    assert mirror_channel.main([str(prefix), str(tmp_path / "out")]) == 1
    assert "no address and hash" in capsys.readouterr().err
