"""Define a kind of stage: all of it but how Dagger runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ci.config.matrix import Cell
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Stage


def _always(_: Resolver) -> bool:
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
    resolve: Callable[[Resolver], Stage]
    applies: Callable[[Resolver], bool] = _always
    scope: Literal["cuda", "pair", "cell"]
    layer: bool = False
    dagger_module: str | None = None
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    list_external_inputs: Callable[[Any, Cell], Mapping[str, ExternalInput]] = _nothing
    write_dockerfile: Callable[[DockerfileWriter, Plan], None] | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the module files of the stage, below `ci`."""
        own = self.name.replace("-", "_")
        return (f"plan/stages/{own}.py", f"stages/{self.dagger_module or own}.py", *self.modules)
