"""common/repodata.py: the list of a channel's packages, by their formats."""

import json
from pathlib import Path

from common.repodata import write_repodata


def test_packages_are_listed_by_their_format_and_in_any_order_the_same(tmp_path: Path) -> None:
    packages: dict[str, dict[str, object]] = {
        "b-1-0.conda": {"name": "b", "depends": ["a"]},
        "a-1-0.tar.bz2": {"name": "a"},
    }
    data = write_repodata(tmp_path / "noarch", packages)
    assert (tmp_path / "noarch/repodata.json").read_bytes() == data
    assert json.loads(data) == {
        "info": {"subdir": "noarch"},
        "packages": {"a-1-0.tar.bz2": {"name": "a"}},
        "packages.conda": {"b-1-0.conda": {"name": "b", "depends": ["a"]}},
        "repodata_version": 1,
    }
    assert write_repodata(tmp_path / "other/noarch", dict(reversed(packages.items()))) == data


def test_a_folder_without_packages_has_a_list_too(tmp_path: Path) -> None:
    assert json.loads(write_repodata(tmp_path / "linux-64", {}))["packages.conda"] == {}
