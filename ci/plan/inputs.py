"""Hold the inputs of planning: the matrix, the sources, the locks, and the caller's options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ci.config.locks import Locks
from ci.config.matrix import Matrix
from ci.config.sources import Sources
from ci.util.model import FrozenModel

RayMode = Literal["stable", "nightly", "source"]


class Options(FrozenModel):
    """The caller's choices beyond the cell."""

    archs: str | None = None
    ray: RayMode = "stable"
    variant: str = "default"


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """Everything that plans are made from, read once; `code` has the digest of each stage's source files."""

    matrix: Matrix
    sources_name: str
    sources: Sources
    locks: Locks
    code: Mapping[str, str]
