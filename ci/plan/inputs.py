"""What plans are made from: the matrix, the sources, the locks, and what a caller chooses."""

from dataclasses import dataclass
from typing import Literal

from ci.config.locks import Locks
from ci.config.matrix import Matrix
from ci.config.sources import Sources
from ci.plan.code_digests import CodeDigests
from ci.util.model import FrozenModel

RayMode = Literal["stable", "nightly", "source"]


class Options(FrozenModel):
    """What a caller may choose beyond the cell."""

    archs: str | None = None
    ray: RayMode = "stable"
    variant: str = "default"


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """Everything that plans are made from, read once."""

    matrix: Matrix
    sources_name: str
    sources: Sources
    lock: Locks
    code: CodeDigests
