"""What plans are made from: the matrix, the sources, the locks, and what a caller chooses."""

from dataclasses import dataclass
from typing import Literal

from ci.code import Code
from ci.documents import Document
from ci.lock import Lock
from ci.matrix import Matrix
from ci.sources import Sources

RayMode = Literal["stable", "nightly", "source"]


class Options(Document):
    """What a caller may choose beyond the cell."""

    archs: str | None = None
    ray: RayMode = "stable"
    variant: str = "default"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Everything that plans are made from, read once."""

    matrix: Matrix
    profile: str
    sources: Sources
    lock: Lock
    code: Code
