"""From a selection of cells to a bundle: which need of which stage is collected how."""

import dagger

from ci.bundle import steps
from ci.config.matrix import Cell
from ci.plan import externals as bundle
from ci.plan.attempt import FIRST_ATTEMPT
from ci.plan.bundle_inputs import list_stage_inputs
from ci.plan.externals import COMPILER, CONDA, DEBS, IMAGE, PACKAGES, SOURCES, TOOLS, ExternalInput
from ci.plan.installs import InstallSpec
from ci.plan.pair import extension_pages
from ci.plan.plan import Plan
from ci.plan.stage import Stage
from ci.plan.stages.pyg import PygSpec
from ci.plan.stages.ray import RaySpec
from ci.plan.stages.toolkit import ToolkitSpec
from ci.plan.stages.wheels import WheelsSpec
from ci.session.session import Session
from ci.stages.builder import ImageBuilder, StageCache
from ci.util.errors import UserError


async def collect_bundle(session: Session, cells: tuple[Cell, ...]) -> dagger.Directory:
    """Collect what cells are built from; nothing is compiled for it.

    Raises:
        UserError: something cannot be collected, or there is nothing to collect.
    """
    if session.context.offline_bundle:
        raise UserError("a bundle is collected from the sources: leave out --from-bundle")
    if not cells:
        raise UserError("no cell is selected: there is nothing to collect")
    plans = await session.plans(cells)
    collection = Collection(session)
    for plan in plans:
        session.externals(plan)  # what cannot be collected is said before anything is
    for plan in plans:
        collection.take(plan)
    pages = await session.pages(cells)
    for address in {address for cell in cells for address in extension_pages(cell, session.inputs)}:
        if not pages[address].problem:
            external = bundle.file_input(address)
            collection.add(external, steps.file(session.context, external.name, address))
    return await collection.bundle(plans).sync()


class Collection:
    """Sets of files by their places in the bundle; each is collected once, for all plans that need it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context.for_stage("bundle", FIRST_ATTEMPT)
        self._made = StageCache()
        self._sets: dict[str, dagger.Directory] = {}

    def add(self, external: ExternalInput, files: dagger.Directory) -> None:
        """Take a set that is at hand."""
        self._sets.setdefault(external.bundle_path, files)

    def take(self, plan: Plan) -> None:
        """Take what a plan needs."""
        ground = self._session.inputs.sources.images.cpu
        self.add(bundle.image_input(ground), steps.image(self._context, ground))
        build = ImageBuilder(plan, self._context, cache=self._made)
        below: dict[str, dagger.File] = {}
        for stage in plan.stages:
            for name, external in list_stage_inputs(stage, plan.cell).items():
                if name == PACKAGES and not isinstance(stage.spec, ToolkitSpec):
                    spec = stage.spec.install if isinstance(stage.spec, PygSpec | RaySpec) else stage.spec
                    assert isinstance(spec, InstallSpec)
                    files, pins = steps.installed(self._context, build.container("conda"), spec, below)
                    below = {**below, stage.name: pins}
                else:
                    files = self._files(build, stage, name, external)
                self.add(external, files)

    def bundle(self, plans: list[Plan]) -> dagger.Directory:
        """Return the bundle of all that was taken."""
        inputs = self._session.inputs
        container = steps.equipped(self._context, inputs.sources.images.cpu, inputs.locks.tools())
        return steps.bundle(
            self._context, container, self._sets, inputs.sources_name, [plan.id for plan in plans]
        )

    def _files(
        self, build: ImageBuilder, stage: Stage, name: str, external: ExternalInput
    ) -> dagger.Directory:
        context, spec = self._context, stage.spec
        if name == IMAGE:
            return steps.image(context, *external.key)
        if name == DEBS:
            return steps.debs(context, external.key[0], external.key[1:])
        if name == TOOLS:
            image, requirements = external.key
            return steps.tools(context, steps.equipped(context, image, requirements), requirements)
        if name == CONDA:
            made = build.channel()
            return made or steps.channel(context, build.container("conda"))
        if name == SOURCES and isinstance(spec, WheelsSpec):
            return steps.sources(context, build.container("torch"), spec)
        if isinstance(spec, ToolkitSpec) and name == PACKAGES:
            return steps.toolkit(context, steps.equipped(context, spec.image, spec.tools), spec)
        if isinstance(spec, ToolkitSpec) and name == COMPILER:
            return steps.compiler(context, spec)
        return steps.file(context, external.name, name)  # by its address
