"""The program that makes, verifies and compares bundles; a bundle is believed in nothing that its bytes do not show."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.programs import make_bundle
from ci.programs.make_bundle import BundleError, Entry, Manifest, read_manifest

FILES = {
    "wheels/cpu-py3.13-torch-000000000000/torch-1.0-py3-none-any.whl": b"torch",
    "wheels/cpu-py3.13-pyg-111111111111/torch-1.0-py3-none-any.whl": b"torch",
    "wheels/cpu-py3.13-pyg-111111111111/pyg-1.0.tar.gz": b"pyg",
    "images/debian-222222222222/image.tar": b"image" * 1000,
    "channel/made-333333333333/linux-64/repodata.json": b"{}",
}
CELLS = ["cpu-py3.13-runtime", "cpu-py3.13-devel"]


def collected(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """Write files as the steps collect them."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    out = tmp_path / "bundle"
    make_bundle.make(out, collected(tmp_path / "collected"), "registries", CELLS)
    return out


def link_of(folder: Path, path: str) -> Path:
    return (folder / path).resolve()


def test_each_content_is_there_once_under_its_hash(made: Path) -> None:
    blobs = {path.name for path in (made / "blobs/sha256").iterdir()}
    assert blobs == {hashlib.sha256(content).hexdigest() for content in FILES.values()}
    for path, content in FILES.items():
        assert (made / path).is_symlink()
        assert (made / path).read_bytes() == content
    assert make_bundle.verify(made) == []


def test_the_same_contents_are_the_same_bundle(made: Path, tmp_path: Path) -> None:
    backwards = dict(reversed(FILES.items()))
    make_bundle.make(
        tmp_path / "again", collected(tmp_path / "other", backwards), "registries", list(reversed(CELLS))
    )
    assert (tmp_path / "again/bundle.json").read_bytes() == (made / "bundle.json").read_bytes()


def test_a_set_with_nothing_in_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "collected/wheels/cpu-py3.13-pyg-111111111111").mkdir(parents=True)
    manifest = make_bundle.make(tmp_path / "bundle", tmp_path / "collected", "registries", CELLS)
    assert manifest.sets == ("wheels/cpu-py3.13-pyg-111111111111",)


def test_a_bundle_that_was_carried_on_a_disk_is_whole(made: Path, tmp_path: Path) -> None:
    carried = tmp_path / "elsewhere/bundle"
    shutil.copytree(made, carried, symlinks=True)
    assert make_bundle.verify(carried) == []


def flip(_: Path, blob: Path) -> None:
    blob.write_bytes(b"image" * 999 + b"imagE")


def cut(_: Path, blob: Path) -> None:
    blob.write_bytes(b"image")


def lose(_: Path, blob: Path) -> None:
    blob.unlink()


def add_a_file(whole: Path, _: Path) -> None:
    (whole / "wheels/extra.whl").write_bytes(b"")


def add_a_link(whole: Path, _: Path) -> None:
    (whole / "evil").symlink_to("/etc")


def make_a_link(whole: Path, blob: Path) -> None:
    elsewhere = whole.parent / "elsewhere"
    blob.rename(elsewhere)  # the same bytes, but not in the bundle
    blob.symlink_to(elsewhere)


def lose_a_link(whole: Path, _: Path) -> None:
    (whole / "images/debian-222222222222/image.tar").unlink()


def spoil_the_list(whole: Path, _: Path) -> None:
    (whole / "bundle.json").write_text("{")


def lose_the_list(whole: Path, _: Path) -> None:
    (whole / "bundle.json").unlink()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (flip, "damaged: blobs/sha256/"),
        (cut, "has 5 bytes, expected 5000"),
        (lose, "missing: blobs/sha256/"),
        (make_a_link, "missing: blobs/sha256/"),
        (add_a_file, "not in the list: wheels/extra.whl"),
        (add_a_link, "not in the list: evil"),
        (lose_a_link, "missing: images/"),
        (spoil_the_list, "bundle.json is not JSON"),
        (lose_the_list, "it has no bundle.json"),
    ],
)
def test_verify_finds_what_is_wrong(made: Path, harm: Callable[[Path, Path], None], told: str) -> None:
    harm(made, link_of(made, "images/debian-222222222222/image.tar"))
    problems = make_bundle.verify(made)
    assert len(problems) == 1
    assert told in problems[0]
    assert make_bundle.main(["verify", str(made)]) == 1


def test_verify_finds_a_link_that_leads_out(made: Path) -> None:
    link = made / "images/debian-222222222222/image.tar"
    blob = link.resolve()
    link.unlink()
    link.symlink_to(blob)  # the same content, by another way
    assert [problem.split(": ")[0] for problem in make_bundle.verify(made)] == ["damaged"]


def test_every_flipped_byte_is_found(made: Path) -> None:
    for blob in sorted((made / "blobs/sha256").iterdir()):
        content = blob.read_bytes()
        blob.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        assert any(blob.name in problem for problem in make_bundle.verify(made))
        blob.write_bytes(content)
    assert make_bundle.verify(made) == []


def test_what_is_there_whole_is_not_written_again(made: Path, tmp_path: Path) -> None:
    blobs = made / "blobs/sha256"
    before = {path.name: path.stat().st_ino for path in blobs.iterdir()}
    damaged = next(iter(sorted(blobs.iterdir())))
    damaged.write_bytes(b"?" * damaged.stat().st_size)
    (blobs / f".{damaged.name}.partial").write_bytes(b"cut off")
    make_bundle.make(made, collected(tmp_path / "collected"), "registries", CELLS)
    after = {path.name: path.stat().st_ino for path in blobs.iterdir()}
    assert {name for name in before if after[name] != before[name]} == {damaged.name}
    assert make_bundle.verify(made) == []


def test_what_no_list_names_any_more_is_taken_away(made: Path, tmp_path: Path) -> None:
    less = dict(list(FILES.items())[:2])
    make_bundle.make(made, collected(tmp_path / "less", less), "registries", CELLS[:1])
    assert make_bundle.verify(made) == []
    assert len(list((made / "blobs/sha256").iterdir())) == 1


def test_a_path_whose_content_is_new_leads_to_the_new_one(made: Path, tmp_path: Path) -> None:
    path = "wheels/cpu-py3.13-pyg-111111111111/pyg-1.0.tar.gz"
    make_bundle.make(made, collected(tmp_path / "newer", {**FILES, path: b"other"}), "registries", CELLS)
    assert (made / path).read_bytes() == b"other"
    assert make_bundle.verify(made) == []
    assert len(list((made / "blobs/sha256").iterdir())) == 4, "the old content is taken away"


def test_files_are_added_to_a_bundle(made: Path, tmp_path: Path) -> None:
    tool = tmp_path / "dagger"
    tool.write_bytes(b"torch")  # a content that is there already
    before = make_bundle.manifest_of(made)
    after = make_bundle.add(made, before, ["engine/0123"], {"engine/0123/tools/dagger": tool})
    assert set(after.files) - set(before.files) == {
        Entry("engine/0123/tools/dagger", hashlib.sha256(b"torch").hexdigest(), 5)
    }
    assert len(list((made / "blobs/sha256").iterdir())) == 4
    assert make_bundle.verify(made) == []


def test_diff_tells_what_changed_and_how_much_is_to_be_carried(made: Path, tmp_path: Path) -> None:
    other = dict(FILES)
    del other["wheels/cpu-py3.13-pyg-111111111111/pyg-1.0.tar.gz"]
    other["wheels/cpu-py3.13-pyg-111111111111/pyg-2.0.tar.gz"] = b"newer"
    make_bundle.make(tmp_path / "other", collected(tmp_path / "two", other), "registries", CELLS[:1])
    one, two = make_bundle.manifest_of(made), make_bundle.manifest_of(tmp_path / "other")
    assert make_bundle.diff(one, two) == [
        "- cell cpu-py3.13-devel",
        "- wheels/cpu-py3.13-pyg-111111111111/pyg-1.0.tar.gz (3 bytes)",
        "+ wheels/cpu-py3.13-pyg-111111111111/pyg-2.0.tar.gz (5 bytes)",
        "1 contents more (5 bytes), 1 fewer (3 bytes)",
    ]
    assert make_bundle.diff(one, one) == []


def test_debian_packages_get_a_list_that_apt_reads(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: hello\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: me <me@example.org>\n"
        "Description: one\n of several lines: as usual\n"
    )
    repository = tmp_path / "collected/debs/debian-000000000000"
    repository.mkdir(parents=True)
    command: list[str | Path] = [
        "dpkg-deb",
        "--build",
        "--root-owner-group",
        root,
        repository / "hello_1%3a2.0-1_all.deb",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    make_bundle.make(tmp_path / "bundle", tmp_path / "collected", "registries", CELLS)
    listed = (tmp_path / "bundle/debs/debian-000000000000/Packages").read_text()
    deb = tmp_path / "bundle/debs/debian-000000000000/hello_2.0-1_all.deb"
    assert "Filename: ./hello_2.0-1_all.deb\n" in listed
    assert f"SHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n" in listed
    assert " of several lines: as usual\n" in listed


# ---- manifests that somebody made up -------------------------------------------------------------------------------

SOUND: dict[str, Any] = json.loads(
    Manifest("registries", ("a",), ("wheels/x",), (Entry("wheels/x/y.whl", "0" * 64, 1),)).text()
)


def test_a_sound_list_is_read_back() -> None:
    manifest = read_manifest(json.dumps(SOUND))
    assert json.loads(manifest.text()) == SOUND


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "wheels/../../etc/passwd", "wheels/x/..", "wheels//y", "wheels/x/", "wheels/y.whl", "x/y/z",
        "wheels/x/\n", "wheels/x/a b", "wheels/x/$(id)", "wheels/x/-rf", "wheels/./y", "wheels/x/" + "y" * 600,
        "blobs/sha256/" + "0" * 64, "", None, 7, ["wheels/x/y"],
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: object) -> None:
    row = {**SOUND["files"][0], "path": path}
    with pytest.raises(BundleError):
        read_manifest(json.dumps({**SOUND, "files": [row]}))


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"schema": True}, {"sources": "a\nb"}, {"sources": None}, {"cells": "a"}, {"cells": ["--x"]},
        {"sets": ["../x"]}, {"sets": ["wheels"]}, {"sets": ["wheels/x", "wheels/x"]}, {"files": {}}, {"more": 1},
        {"files": [{**SOUND["files"][0], "size": -1}]}, {"files": [{**SOUND["files"][0], "size": True}]},
        {"files": [{**SOUND["files"][0], "sha256": "0" * 63 + "G"}]},
        {"files": [{**SOUND["files"][0], "kind": "debs"}]},
        {"files": [SOUND["files"][0]] * 2}, {"files": ["wheels/x/y.whl"]},
    ],
)  # fmt: skip
def test_a_list_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as caught:
        read_manifest(json.dumps({**SOUND, **change}))
    assert "\n" not in str(caught.value)


def test_a_file_is_no_folder_of_another() -> None:
    files = (Entry("wheels/x/y", "0" * 64, 1), Entry("wheels/x/y/z", "0" * 64, 1))
    with pytest.raises(BundleError, match="a file and a folder"):
        read_manifest(Manifest("registries", (), (), files).text())


def test_one_content_has_one_size() -> None:
    files = (Entry("wheels/x/y", "0" * 64, 1), Entry("wheels/x/z", "0" * 64, 2))
    with pytest.raises(BundleError, match="0000 has two sizes"):
        read_manifest(Manifest("registries", (), (), files).text())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        read_manifest(text)
    except BundleError as error:
        assert str(error).isprintable()  # noqa: PT017 - both ways are right


@given(st.sampled_from(sorted(SOUND)), JSON)
def test_any_value_in_a_list_is_read_or_refused(key: str, value: object) -> None:
    try:
        read_manifest(json.dumps({**SOUND, key: value}))
    except BundleError as error:
        assert str(error).isprintable()  # noqa: PT017 - both ways are right
