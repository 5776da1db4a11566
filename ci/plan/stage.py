"""Hold the stages of a plan: the resolved inputs of each, its parents, and the digest of them all."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from ci.util.model import FrozenModel


class Spec(FrozenModel):
    """The resolved inputs of one stage."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a plan. Two stages with the same digest are the same step, and are built once.

    `notes` is what the user should know about how its inputs were resolved.
    """

    name: str
    spec: Spec
    code: str
    parents: tuple["Stage", ...]
    reason: str
    notes: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of everything that the stage is made from: its spec, its code and its parents."""
        total = hashlib.sha256(f"{self.name} {self.code}".encode())
        for parent in self.parents:
            total.update(f" {parent.digest}".encode())
        # Fields in their order; a list of what a stage is made from needs no other form.
        total.update(self.spec.model_dump_json().encode())
        return total.hexdigest()
