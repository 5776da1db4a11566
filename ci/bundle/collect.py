"""From a selection of cells to a bundle: which need of which stage is collected how."""

import dagger

from ci.bundle import steps
from ci.config.matrix import Cell
from ci.plan import externals as bundle
from ci.plan.attempt import FIRST_ATTEMPT
from ci.plan.environment import extension_pages
from ci.plan.externals import COMPILER, CONDA, DEBS, IMAGE, PACKAGES, SOURCES, TOOLS, ExternalInput
from ci.plan.planner import Plan
from ci.plan.specs import InstallSpec, PygSpec, RaySpec, Stage, ToolkitSpec, WheelsSpec
from ci.session.session import Session
from ci.stages.builder import ImageBuilder, StageCache
from ci.util.errors import UserError


async def collected(desk: Session, cells: tuple[Cell, ...]) -> dagger.Directory:
    """Collect what cells are built from; nothing is compiled for it.

    Raises:
        UserError: something cannot be collected, or there is nothing to collect.
    """
    if desk.site.supply:
        raise UserError("a bundle is collected from the sources: leave out --from-bundle")
    if not cells:
        raise UserError("no cell is selected: there is nothing to collect")
    plans = await desk.plans(cells)
    collection = Collection(desk)
    for plan in plans:
        desk.needs(plan)  # what cannot be collected is said before anything is
    for plan in plans:
        collection.take(plan)
    pages = await desk.pages(cells)
    for address in {address for cell in cells for address in extension_pages(cell, desk.shop)}:
        if not pages[address].problem:
            need = bundle.file_need(address)
            collection.add(need, steps.file(desk.site, need.name, address))
    return await collection.bundle(plans).sync()


class Collection:
    """Sets of files by their places in the bundle; each is collected once, for all plans that need it."""

    def __init__(self, desk: Session) -> None:
        self._desk = desk
        self._site = desk.site.of("bundle", FIRST_ATTEMPT)
        self._made = StageCache()
        self._sets: dict[str, dagger.Directory] = {}

    def add(self, need: ExternalInput, files: dagger.Directory) -> None:
        """Take a set that is at hand."""
        self._sets.setdefault(need.folder, files)

    def take(self, plan: Plan) -> None:
        """Take what a plan needs."""
        ground = self._desk.shop.sources.images.cpu
        self.add(bundle.image_need(ground), steps.image(self._site, ground))
        build = ImageBuilder(plan, self._site, made=self._made)
        below: dict[str, dagger.File] = {}
        for stage in plan.stages:
            for name, need in bundle.stage_needs(stage, plan.cell).items():
                if name == PACKAGES and not isinstance(stage.spec, ToolkitSpec):
                    spec = stage.spec.install if isinstance(stage.spec, PygSpec | RaySpec) else stage.spec
                    assert isinstance(spec, InstallSpec)
                    files, pins = steps.installed(self._site, build.conda(), spec, below)
                    below = {**below, stage.name: pins}
                else:
                    files = self._files(build, stage, name, need)
                self.add(need, files)

    def bundle(self, plans: list[Plan]) -> dagger.Directory:
        """Return the bundle of all that was taken."""
        shop = self._desk.shop
        container = steps.equipped(self._site, shop.sources.images.cpu, shop.lock.tools())
        return steps.bundle(self._site, container, self._sets, shop.profile, [plan.id for plan in plans])

    def _files(self, build: ImageBuilder, stage: Stage, name: str, need: ExternalInput) -> dagger.Directory:
        site, spec = self._site, stage.spec
        if name == IMAGE:
            return steps.image(site, *need.asked)
        if name == DEBS:
            return steps.debs(site, need.asked[0], need.asked[1:])
        if name == TOOLS:
            image, requirements = need.asked
            return steps.tools(site, steps.equipped(site, image, requirements), requirements)
        if name == CONDA:
            made = build.channel()
            return made or steps.channel(site, build.conda())
        if name == SOURCES and isinstance(spec, WheelsSpec):
            return steps.sources(site, build.torch(), spec)
        if isinstance(spec, ToolkitSpec) and name == PACKAGES:
            return steps.toolkit(site, steps.equipped(site, spec.image, spec.tools), spec)
        if isinstance(spec, ToolkitSpec) and name == COMPILER:
            return steps.compiler(site, spec)
        return steps.file(site, need.name, name)  # by its address
