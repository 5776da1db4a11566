"""The locks that come with the module: whole, hashed, and of the versions that the matrix pins."""

import json
import re
from importlib import resources

import pytest
from packaging.requirements import Requirement

from ci.config.locks import Locks, read_locks
from ci.config.matrix import default_matrix
from ci.config.sources import read_sources
from ci.plan.requirements import STAGES, satisfies, select_pins
from ci.util.errors import UserError
from tests.unit.plans import PAIRS, locks

LOCKED = (*PAIRS, "cpu-py3.13")
MATRIX = default_matrix()

# `torch==2.11.0 \` or `colorama==0.4.6 ; sys_platform == "win32" \`, then hashes.
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(text: str) -> dict[str, str]:
    """Return the version of each package of a lock."""
    return {match[1]: match[2] for line in text.splitlines() if (match := PIN.match(line))}


def stage_lock(pair: str, stage: str) -> str:
    """Return the lock of a stage, which must be there."""
    text = locks().requirements("registries", pair, stage)
    assert text is not None, f"{pair}/{stage}"
    return text


@pytest.mark.parametrize("pair", LOCKED)
@pytest.mark.parametrize("stage", STAGES)
def test_every_line_is_a_pin_or_a_hash(pair: str, stage: str) -> None:
    text = stage_lock(pair, stage)
    assert not [line for line in text.splitlines() if not PIN.match(line) and not HASH.match(line)]
    assert pins(text)


TOOLKITS = read_sources("registries").toolkit


@pytest.mark.parametrize("cuda", TOOLKITS)
def test_the_wheels_of_a_toolkit_are_locked_with_all_that_they_need(cuda: str) -> None:
    text = locks().toolkit("registries", cuda) or ""
    asked = TOOLKITS[cuda].wheels
    assert satisfies(text, "\n".join(asked))
    assert len(pins(text)) > sum(len(Requirement(line).extras) for line in asked), "a wheel for each part"
    assert not [line for line in text.splitlines() if not PIN.match(line) and not HASH.match(line)]


@pytest.mark.parametrize("name", ["tools", "sdists"])
def test_tools_and_sources_are_pinned_and_hashed_too(name: str) -> None:
    text = {"tools": locks().tools, "sdists": locks().sdists}[name]()
    assert not [line for line in text.splitlines() if not PIN.match(line) and not HASH.match(line)]


@pytest.mark.parametrize("pair", LOCKED)
def test_a_lock_has_the_versions_that_the_matrix_pins(pair: str) -> None:
    cuda = next(cell.cuda for cell in MATRIX.cells if cell.pair_id == pair)
    torch = MATRIX.torch["registries"][cuda]
    expected = {
        "torch": {"torch": torch.torch, "torchvision": torch.torchvision, "torchaudio": torch.torchaudio},
        "pyg": {"torch-geometric": MATRIX.pyg.torch_geometric},
        "ray": {"ray": MATRIX.ray.version},
        "marimo": {"marimo": MATRIX.marimo.version},
    }
    for stage, packages in expected.items():
        found = pins(stage_lock(pair, stage))
        assert {name: found.get(name) for name in packages} == packages


@pytest.mark.parametrize("pair", LOCKED)
def test_a_lock_satisfies_what_the_environment_asks_for(pair: str) -> None:
    found = pins(stage_lock(pair, "torch"))
    for line in MATRIX.environment.packages:
        requirement = Requirement(line)
        assert requirement.specifier.contains(found[requirement.name]), line


@pytest.mark.parametrize("pair", LOCKED)
def test_no_stage_changes_what_a_stage_below_it_installed(pair: str) -> None:
    # The layers of runtime images are deltas: a package at two versions would lie in two layers.
    parse_machine: dict[str, str] = {}
    for stage in STAGES:
        for name, version in pins(stage_lock(pair, stage)).items():
            assert parse_machine.setdefault(name, version) == version, (stage, name)


def test_every_extension_with_sources_has_their_hashes() -> None:
    wanted = [f"{name}=={pin.version}" for name, pin in MATRIX.pyg.extensions.items() if pin.sdist]
    assert len(wanted) == 4
    assert (select_pins(locks().sdists(), wanted) or "").count("--hash=sha256:") >= 4


def test_the_tools_are_those_that_make_environments() -> None:
    assert {"py-rattler", "conda-pack", "uv"} <= set(pins(locks().tools()))


def test_what_ray_is_built_with_is_pinned_and_hashed_and_names_no_address() -> None:
    folder = resources.files("ci").joinpath("programs/bazelisk")
    asked, lock = (
        json.loads(folder.joinpath(f"{name}.json").read_text()) for name in ("package", "package-lock")
    )
    packages = {name.removeprefix("node_modules/"): one for name, one in lock["packages"].items() if name}
    assert {name: one["version"] for name, one in packages.items()} == asked["dependencies"]
    assert lock["packages"][""]["dependencies"] == asked["dependencies"], (
        "npm ci refuses a lock of other pins"
    )
    assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in packages.values())


def test_the_recipe_of_the_channel_is_json() -> None:
    assert isinstance(json.loads(locks().channel()), dict)


@pytest.mark.parametrize(
    ("profile", "pair", "stage"),
    [
        ("upstream", "cu12.8.1-py3.13", "torch"),
        ("registries", "cu12.8.1-py3.15", "torch"),
        ("registries", "cu12.8.1-py3.13", "conda"),
        ("registries", "../registries/cu12.8.1-py3.13", "torch"),
        ("", "", ""),
    ],
)
def test_a_stage_without_a_lock_has_none(profile: str, pair: str, stage: str) -> None:
    assert locks().requirements(profile, pair, stage) is None


def test_a_lock_is_told_by_profile_pair_and_stage() -> None:
    lock = Locks({"ours/cu1-py3/ray.txt": "ray==1\n", "tools.txt": "uv==1\n"})
    assert lock.requirements("ours", "cu1-py3", "ray") == "ray==1\n"
    assert lock.tools() == "uv==1\n"


def test_locks_are_the_same_each_time_they_are_read() -> None:
    assert vars(read_locks()) == vars(locks())


@pytest.mark.parametrize(
    "rows", ["{}", '"python"', "[1]", "[[]]", '[{"name": "python"}]', '[{"version": "3"}, {}]']
)
def test_a_recipe_without_what_is_needed_of_each_package_is_a_mistake(rows: str) -> None:
    recipe = f'{{"python": {rows}, "debs": [], "wheels": []}}'
    with pytest.raises(UserError) as caught:
        Locks({"channel.json": recipe}).pythons()
    assert str(caught.value) == "ci/locks/channel.json: key 'python': not a list of packages"
