"""Model pins, newer versions of them, and their impact on cells.

The field names of `OutdatedPin`, `Upgrade` and `CellImpact` are the keys of `latest --format json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ci.util.model import FrozenModel

State = Literal["possible", "impossible", "unknown"]
ExtensionState = Literal["wheel", "compile", "left out", "unknown"]
Path = tuple[str, ...]  # keys of a value in matrix.toml: `("ray", "version")`


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A version that the matrix pins, under the name that `bump` accepts: `ray`, `torch@12.8.1`.

    `cuda` is the CUDA version of a torch pin, empty for others.
    """

    name: str
    version: str
    path: Path
    cuda: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Another version for a pin, with the values that change with it.

    `goes_with` are the versions of torchvision and torchaudio for a torch.
    """

    version: str
    changes: Mapping[Path, str]
    goes_with: Mapping[str, str]


class CellImpact(FrozenModel):
    """The state of some cells after a change, with reasons, and that of their PyG extensions."""

    cells: tuple[str, ...]
    state: State
    why: tuple[str, ...] = ()
    extensions: Mapping[str, ExtensionState] = Field(default_factory=dict)


class Upgrade(FrozenModel):
    """A newer version: its companions, facts from the indexes, and the impact on cells."""

    version: str
    goes_with: Mapping[str, str] = Field(default_factory=dict)
    facts: tuple[str, ...] = ()
    effects: tuple[CellImpact, ...] = ()


class OutdatedPin(FrozenModel):
    """A pin, its newest release, and the newest that keeps every cell buildable, for `bump`.

    `newest` is None if it is unknown (`problem` says why), `takes` is None if no newer version can be used.
    """

    name: str
    pinned: str | None = None
    newest: str | None = None
    takes: str | None = None
    note: str = ""
    problem: str | None = None
    offers: tuple[Upgrade, ...] = ()
