"""Define stages: the resolved inputs of one, and everything that is known of a kind of stage."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ci.config.matrix import Cell
from ci.plan.externals import ExternalInput
from ci.util.model import FrozenModel

if TYPE_CHECKING:
    from ci.plan.dockerfile_writer import DockerfileWriter
    from ci.plan.plan import Plan
    from ci.plan.resolver import Resolver


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


def _always(_: "Resolver") -> bool:
    return True


def _nothing(_: Any, __: Cell) -> Mapping[str, ExternalInput]:
    return {}


@dataclass(frozen=True, kw_only=True)
class StageDefinition:
    """A kind of stage: all of it but how Dagger runs it, which is in `ci/stages/NAME.py`.

    - `resolve` makes the stage for a cell; `applies` says whether the cell has it.
    - `scope` is what shares one stage object: a CUDA version, a CUDA x Python pair, or nothing.
    - `layer`: the stage adds to the environment of the stage below it, and its changes are a layer of the image.
    - `dagger_module` is the file in `ci/stages` that builds it, if it is not named after the stage.
    - `programs` are those of `ci/programs` that carry it out, `modules` the other files below `ci` (besides its own
      two): a change of one is a change of the stage.
    - `list_external_inputs` names what the stage takes from outside, by the names that it uses for them.
    - `write_dockerfile` writes its instructions.
    """

    name: str
    resolve: Callable[["Resolver"], Stage]
    applies: Callable[["Resolver"], bool] = _always
    scope: Literal["cuda", "pair", "cell"]
    layer: bool = False
    dagger_module: str | None = None
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    list_external_inputs: Callable[[Any, Cell], Mapping[str, ExternalInput]] = _nothing
    write_dockerfile: Callable[["DockerfileWriter", "Plan"], None] | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the module files of the stage, below `ci`."""
        own = self.name.replace("-", "_")
        return (f"plan/stages/{own}.py", f"stages/{self.dagger_module or own}.py", *self.modules)
