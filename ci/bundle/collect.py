"""Collect a bundle for selected cells: choose the step that collects each external input of each stage."""

import dagger

from ci.bundle import steps
from ci.config.matrix import Cell
from ci.plan.attempt import FIRST_ATTEMPT
from ci.plan.bundle_inputs import list_stage_inputs
from ci.plan.externals import (
    COMPILER,
    CONDA,
    DEBS,
    IMAGE,
    PACKAGES,
    SOURCES,
    TOOLS,
    ExternalInput,
    file_input,
    image_input,
)
from ci.plan.installs import InstallSpec
from ci.plan.pair import list_extension_pages
from ci.plan.plan import Plan
from ci.plan.stage import Stage
from ci.plan.stages.pyg import PygSpec
from ci.plan.stages.ray import RaySpec
from ci.plan.stages.toolkit import ToolkitSpec
from ci.plan.stages.video import VideoSpec
from ci.plan.stages.wheels import WheelsSpec
from ci.session.session import Session
from ci.stages.builder import ImageBuilder, StageCache
from ci.util.errors import UserError


async def collect_bundle(session: Session, cells: tuple[Cell, ...]) -> dagger.Directory:
    """Collect what cells are built from; nothing is compiled for it.

    Raises:
        UserError: an input cannot be collected, or no cell is selected.
    """
    if session.context.offline_bundle:
        raise UserError("a bundle is collected from the sources: leave out --from-bundle")
    if not cells:
        raise UserError("no cell is selected: there is nothing to collect")
    plans = await session.plans(cells)
    for plan in plans:
        session.externals(plan)  # raises before anything is downloaded
    collection = Collection(session)
    for plan in plans:
        collection.add_plan(plan)
    pages = await session.pages(cells)
    for address in {address for cell in cells for address in list_extension_pages(cell, session.inputs)}:
        if not pages[address].problem:
            page = file_input(address)
            collection.add(page, steps.collect_file(session.context, page.name, address))
    return await collection.bundle(plans).sync()


class Collection:
    """Collected files by their folder in the bundle; plans that share an input share its folder."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context.for_stage("bundle", FIRST_ATTEMPT)
        self._stage_cache = StageCache()
        self._folders: dict[str, dagger.Directory] = {}

    def add(self, external: ExternalInput, files: dagger.Directory) -> None:
        """Add the files of an input, unless it has been added."""
        self._folders.setdefault(external.bundle_path, files)

    def add_plan(self, plan: Plan) -> None:
        """Collect and add all inputs of a plan."""
        cpu_image = self._session.inputs.sources.images.cpu  # in which a session looks at the machine
        self.add(image_input(cpu_image), steps.collect_image(self._context, cpu_image))
        builder = ImageBuilder(plan, self._context, cache=self._stage_cache)
        versions: dict[str, dagger.File] = {}  # by the stages that installed them, from the lowest up
        for stage in plan.stages:
            for name, external in list_stage_inputs(stage, plan.cell).items():
                if name == PACKAGES and not isinstance(stage.spec, ToolkitSpec):
                    spec = (
                        stage.spec.install
                        if isinstance(stage.spec, PygSpec | RaySpec | VideoSpec)
                        else stage.spec
                    )
                    assert isinstance(spec, InstallSpec)
                    env = builder.container("conda")
                    files, pins = steps.collect_installed(self._context, env, spec, versions)
                    versions = {**versions, stage.name: pins}
                else:
                    files = self._collect(builder, stage, name, external)
                self.add(external, files)

    def bundle(self, plans: list[Plan]) -> dagger.Directory:
        """Return the bundle of everything that was added."""
        inputs = self._session.inputs
        container = steps.container_with_tools(self._context, inputs.sources.images.cpu, inputs.locks.tools())
        cells = [plan.id for plan in plans]
        return steps.assemble_bundle(self._context, container, self._folders, inputs.sources_name, cells)

    def _collect(
        self, builder: ImageBuilder, stage: Stage, name: str, external: ExternalInput
    ) -> dagger.Directory:
        """Collect one input of a stage; `name` is the stage's name for it, for a file its address."""
        context, spec = self._context, stage.spec
        if name == IMAGE:
            return steps.collect_image(context, *external.key)
        if name == DEBS:
            return steps.collect_debs(context, external.key[0], external.key[1:])
        if name == TOOLS:
            image, requirements = external.key
            container = steps.container_with_tools(context, image, requirements)
            return steps.collect_tools(context, container, requirements)
        if name == CONDA:
            return builder.channel() or steps.collect_channel(context, builder.container("conda"))
        if name == SOURCES and isinstance(spec, WheelsSpec):
            return steps.collect_sources(context, builder.container("torch"), spec)
        if isinstance(spec, ToolkitSpec) and name == PACKAGES:
            container = steps.container_with_tools(context, spec.image, spec.tools)
            return steps.collect_toolkit(context, container, spec)
        if isinstance(spec, ToolkitSpec) and name == COMPILER:
            return steps.collect_compiler(context, spec)
        return steps.collect_file(context, external.name, name)
