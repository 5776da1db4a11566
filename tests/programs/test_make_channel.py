"""make_channel.py with the real jars, Debian packages and wheels of the project's recipe."""

import hashlib
import io
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

zstandard = pytest.importorskip("zstandard")

import make_channel  # noqa: E402
from common.errors import UserError  # noqa: E402

Run = Callable[..., subprocess.CompletedProcess[str]]
Recipe = dict[str, list[dict[str, Any]]]


def sources(parts: Path) -> list[str]:
    return [f"--{kind}={parts / kind}" for kind in ("jars", "debs", "wheels")]


def write(path: Path, recipe: Recipe) -> Path:
    path.write_text(json.dumps(recipe))
    return path


def inside(package: Path, part: str) -> dict[str, bytes]:
    """The files of one half ('info' or 'pkg') of a .conda package."""
    with zipfile.ZipFile(package) as archive:
        data = (
            zstandard.ZstdDecompressor()
            .decompressobj()
            .decompress(archive.read(f"{part}-{package.stem}.tar.zst"))
        )
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m) if m.isfile() else None)}


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_two_builds_are_the_same_bytes(
    run: Run, parts: Path, channel: Path, recipe: Recipe, tmp_path: Path
) -> None:
    one_python = {**recipe, "python": recipe["python"][:1]}
    run(
        "make_channel.py",
        "build",
        tmp_path / "out",
        "--recipe",
        write(tmp_path / "r.json", one_python),
        *sources(parts),
    )
    first, second = files(channel), files(tmp_path / "out")
    packages = {name for name in second if name.endswith(".conda")}
    assert any("/python-3.13" in name for name in packages)
    assert {n: second[n] for n in packages} == {n: first[n] for n in packages}
    for subdir in ("linux-64", "noarch"):
        rows = [
            json.loads((c / subdir / "repodata.json").read_text())["packages.conda"]
            for c in (channel, tmp_path / "out")
        ]
        assert rows[1].items() <= rows[0].items()


def test_other_time_other_bytes(run: Run, parts: Path, recipe: Recipe, tmp_path: Path) -> None:
    """The comparison above can fail: the time does reach the bytes."""
    small = write(tmp_path / "r.json", {"wheels": recipe["wheels"][2:3]})
    for epoch in ("1700000000", "1700000001"):
        command = (
            "make_channel.py",
            "build",
            tmp_path / epoch,
            "--recipe",
            small,
            "--wheels",
            parts / "wheels",
        )
        run(*command, env={"SOURCE_DATE_EPOCH": epoch})
    one, two = (files(tmp_path / e) for e in ("1700000000", "1700000001"))
    assert one.keys() == two.keys()
    assert one != two


def test_no_compiled_file_names_the_build_prefix(channel: Path) -> None:
    """conda edits prefixes inside files, and an edited .pyc does not load."""
    packages = sorted(channel.glob("linux-64/python-3.*.conda"))
    assert len(packages) == 2
    for package in packages:
        rows = json.loads(inside(package, "info")["info/paths.json"])["paths"]
        placeholders = {row["prefix_placeholder"] for row in rows if "prefix_placeholder" in row}
        assert len(placeholders) == 1
        needle = placeholders.pop().encode()
        contents = inside(package, "pkg")
        compiled = [name for name in contents if name.endswith(".pyc")]
        assert len(compiled) > 500
        assert not [name for name in compiled if needle in contents[name]]
        marked = {row["_path"] for row in rows if "prefix_placeholder" in row}
        assert marked == {name for name, data in contents.items() if needle in data}


def test_glibc_is_what_the_files_need(channel: Path) -> None:
    rows = json.loads((channel / "linux-64/repodata.json").read_text())["packages.conda"]
    python = next(r for r in rows.values() if r["name"] == "python" and r["version"].startswith("3.13"))
    assert "__glibc >=2.35" in python["depends"]
    assert "timestamp" in python
    assert (
        python["sha256"]
        == hashlib.sha256(next(channel.glob("linux-64/python-3.13*.conda")).read_bytes()).hexdigest()
    )


def test_wrong_hash_is_refused(run: Run, parts: Path, recipe: Recipe, tmp_path: Path) -> None:
    bad = {"wheels": [{**recipe["wheels"][1], "sha256": "0" * 64}]}
    done = run("make_channel.py", "build", tmp_path / "out", "--recipe", write(tmp_path / "r.json", bad),
               "--wheels", parts / "wheels", ok=False)  # fmt: skip
    assert "the recipe says 000" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_library_that_nobody_provides_is_noticed(run: Run, parts: Path, tmp_path: Path) -> None:
    alone: Recipe = {"debs": [{"name": "readline", "debs": ["libreadline8"]}]}
    done = run("make_channel.py", "build", tmp_path / "out", "--recipe", write(tmp_path / "r.json", alone),
               "--debs", parts / "debs", ok=False)  # fmt: skip
    assert "readline" in done.stderr
    assert "libtinfo.so.6" in done.stderr


def test_missing_parts_and_bad_recipes(run: Run, tmp_path: Path) -> None:
    recipe = write(tmp_path / "r.json", {"debs": [{"name": "x", "debs": ["libnothere"]}]})
    assert (
        "libnothere: 0 files"
        in run("make_channel.py", "build", tmp_path / "o", "--recipe", recipe, ok=False).stderr
    )
    for text, words in (
        ("{", "not a recipe"),
        ('{"pythons": []}', "unknown keys: pythons"),
        ('{"debs": [{}]}', "missing"),
    ):
        (tmp_path / "r.json").write_text(text)
        assert words in run("make_channel.py", "build", tmp_path / "o", "--recipe", recipe, ok=False).stderr
    assert (
        "no recipe"
        in run("make_channel.py", "build", tmp_path / "o", "--recipe", tmp_path / "x", ok=False).stderr
    )


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [("1:1.2.13.dfsg-1", "1.2.13"), ("6.4-4", "6.4"), ("5.4.1-1+deb12u2", "5.4.1"), ("1.5.4+dfsg2-5", "1.5.4"),
     ("2026f-0+deb12u1", "2026f"), ("6.4+20240113-1", "6.4"),
     ("1:1.3.dfsg+really1.3.1-1+b1", "1.3.1")],
)  # fmt: skip
def test_upstream_version(debian: str, upstream: str) -> None:
    assert make_channel.conda_version(debian) == upstream


def test_requirements_of_a_wheel() -> None:
    metadata = "Name: x\nRequires-Dist: packaging >= 24.0\nRequires-Dist: pytest ; extra == 'test'\n\nRequires-Dist: no"
    assert make_channel.required(metadata) == ("packaging >=24.0",)
    with pytest.raises(UserError, match="conditional"):
        make_channel.required("Requires-Dist: tomli; python_version < '3.11'\n")


def test_one_of_several_debian_names(run: Run, parts: Path, tmp_path: Path) -> None:
    """trixie calls some libraries by other names than bookworm: a|b takes the first that there is."""
    debs = [{"name": "libffi", "debs": ["libffi8t64|libffi8|libffi9"]}]
    one = write(tmp_path / "r.json", {"debs": debs})
    run("make_channel.py", "fetch", tmp_path / "parts", "--recipe", one, "--only", "debs")
    assert len(list((tmp_path / "parts/debs").glob("libffi8_*.deb"))) == 1
    run("make_channel.py", "build", tmp_path / "out", "--recipe", one, "--debs", parts / "debs")
    assert list((tmp_path / "out/linux-64").glob("libffi-3*.conda"))
    none = write(tmp_path / "n.json", {"debs": [{"name": "x", "debs": ["libnot1|libnot2"]}]})
    done = run("make_channel.py", "fetch", tmp_path / "parts", "--recipe", none, "--only", "debs", ok=False)
    assert "none of libnot1, libnot2" in done.stderr
