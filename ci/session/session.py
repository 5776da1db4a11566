"""Between the caller and the pure core: reads the files and index pages that plans are made from."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import dagger

from ci.config.locks import read_lock
from ci.config.matrix import Cell, Matrix, default_text, read_matrix
from ci.config.sources import read_sources
from ci.history.records import History
from ci.index.wheels import Page, Pages, read_page
from ci.plan.code_digests import read_code
from ci.plan.environment import extension_pages
from ci.plan.externals import ExternalInput, file_need, image_need, plan_needs, require, unique
from ci.plan.inputs import Options, PlanInputs
from ci.plan.planner import Plan, Planner, checked_archs, named, parse_ray_mode, variant_of
from ci.programs.bundle import MANIFEST, BundleError, read_manifest
from ci.stages.context import BuildContext
from ci.stages.offline import OfflineBundle
from ci.sweep.preview import changed
from ci.util.errors import UserError, choose, error_message, one_line, shown

MOST_JOBS = 1024


@dataclass(frozen=True)
class Session:
    """What a call of the module works with: the matrix, the sources, the options, and the surroundings.

    `given` are the options of the call as they are typed; of a file only the name is known, of a service nothing.
    """

    shop: PlanInputs
    site: BuildContext
    options: Options
    text: str  # the matrix document, and what its file is called
    file: str
    given: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """Return the matrix in use."""
        return self.shop.matrix

    @property
    def ground(self) -> dagger.Container:
        """Return the container in which the machine is looked at and records are kept."""
        return self.site.image(self.shop.sources.images.cpu)

    def needs(self, plan: Plan) -> tuple[ExternalInput, ...]:
        """Return what a plan and the sweep around it take from outside."""
        return unique([image_need(self.shop.sources.images.cpu), *plan_needs(plan)])

    def names(self, cells: Sequence[Cell]) -> list[str]:
        """Return the names of the cells' images in records and reports."""
        return [named(cell, variant_of(cell, self.matrix, self.options)) for cell in cells]

    def call(self, function: str, cell: Cell, *more: str) -> str:
        """Return the line that calls a function for a cell with the same options."""
        words = (function, f"--cuda={cell.cuda}", f"--python={cell.python}", f"--target={cell.target}", *more)
        return shlex.join(["./daggerw", "call", *self.given, *words])

    async def plan(self, cell: Cell) -> Plan:
        """Plan a cell, with the index pages that it needs."""
        return (await self.plans([cell]))[0]

    async def plans(self, cells: Sequence[Cell]) -> list[Plan]:
        """Plan cells, with the index pages that they need."""
        blind = Planner(self.shop, {}, self.options)
        for cell in cells:  # every mistake comes before the first look at the network
            blind.plan(cell)
        planner = Planner(self.shop, await self.pages(cells), self.options)
        plans = [planner.plan(cell) for cell in cells]
        if supply := self.site.supply:
            wanted = {plan.id: self.needs(plan) for plan in plans}
            require(supply.manifest, self.shop.profile, wanted)
            every = unique(need for needs in wanted.values() for need in needs)
            await supply.check(every, self.shop.sources.images.cpu)
        return plans

    async def pages(self, cells: Sequence[Cell]) -> Pages:
        """Read the index pages that cells need, or why they cannot be read."""
        wanted = dict.fromkeys(address for cell in cells for address in extension_pages(cell, self.shop))
        return {address: await self._page(address) for address in wanted}

    async def changed(self, cells: tuple[Cell, ...], before: dagger.File | None) -> tuple[Cell, ...]:
        """Leave out the cells whose plan is the same as in an earlier survey, if there is one."""
        if before is None:
            return cells
        plans = changed(await self.plans(cells), await before.contents(), await before.name())
        return tuple(plan.cell for plan in plans)

    async def _page(self, address: str) -> Page:
        supply, need = self.site.supply, file_need(address)
        if supply and need.folder not in supply.manifest.sets:
            return Page(address=address, problem="the bundle does not have it")
        try:
            found = supply.file(need) if supply else self.site.download(address)
            return read_page(address, await found.contents())
        except dagger.QueryError as error:
            return Page(address=address, problem=shown(one_line(error_message(error)), 200))


def selected(
    desk: Session,
    cuda: Sequence[str] | None,
    python: Sequence[str] | None,
    target: Sequence[str] | None,
    phase: Sequence[int] | None,
    only: Sequence[str] | None,
) -> tuple[Cell, ...]:
    """Select cells by the filters that `cells`, `plan`, `matrix` and `report` share."""
    return desk.matrix.select(
        cuda=cuda or (), python=python or (), target=target or (), phase=phase or (), only=only or ()
    )


def reported(desk: Session, cells: Sequence[Cell], history: History, *, filtered: bool) -> list[str]:
    """Name the images of a report: of the selected cells, and where nothing is filtered of all that have records."""
    names = desk.names(cells)
    if filtered:
        return names
    every = desk.names([cell for cell in desk.matrix.cells if not desk.matrix.excluded(cell)])
    return [name for name in every if name in names or history.latest(name)]


async def open_session(
    *,
    sources: str | None,
    mirrors: dagger.File | None,
    mirror_service: dagger.Service | None,
    matrix_file: dagger.File | None,
    archs: str | None,
    jobs: int | None,
    ray: str,
    variant: str,
    bundle: dagger.Directory | None = None,
) -> Session:
    """Read and check everything that a call was given, before anything is built.

    No sources means those that the matrix names for Dockerfiles.

    Raises:
        UserError: any of it is wrong.
    """
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise UserError(f"bad number of jobs {jobs}; accepted: 1 to {MOST_JOBS}")
    options = Options(
        archs=checked_archs(archs) if archs is not None else None,
        ray=parse_ray_mode(ray),
        variant=variant,
    )
    text, file = default_text(), "ci/matrix.toml"
    if matrix_file:
        text, file = await matrix_file.contents(), await matrix_file.name()
    matrix = read_matrix(text, file.rpartition("/")[2])
    sources = matrix.dockerfiles.sources if sources is None else sources
    over = (await mirrors.contents(), await mirrors.name()) if mirrors else ()
    chosen = read_sources(sources, *over)
    choose("sources profile with torch pins in the matrix", sources, matrix.torch)
    shop = PlanInputs(matrix=matrix, profile=sources, sources=chosen, lock=read_lock(), code=read_code())
    choose("variant", variant, matrix.variants)
    host = await mirror_service.hostname() if mirror_service else ""
    supply = await open_bundle(bundle) if bundle else None
    site = BuildContext(
        mirror=mirror_service, mirror_host=host, index=chosen.wheels.index, jobs=jobs, supply=supply
    )
    given = {
        "sources": sources,
        "mirrors": await mirrors.name() if mirrors else None,
        "mirror-service": "tcp://HOST:PORT" if mirror_service else None,
        "matrix-file": await matrix_file.name() if matrix_file else None,
        "archs": archs,
        "jobs": jobs,
        "ray-mode": None if ray == Options().ray else ray,
        "variant": None if variant == Options().variant else variant,
        "from-bundle": "PATH" if bundle else None,
    }
    words = tuple(f"--{name}={value}" for name, value in given.items() if value is not None)
    return Session(shop=shop, site=site, options=options, given=words, text=text, file=file)


async def open_bundle(tree: dagger.Directory) -> OfflineBundle:
    """Read the list of a bundle.

    Raises:
        UserError: it is none, or it is damaged.
    """
    if MANIFEST not in await tree.entries():
        raise UserError(
            f"--from-bundle is not a bundle: it has no {MANIFEST}; `bundle export --path PATH` makes one"
        )
    try:
        return OfflineBundle(read_manifest(await tree.file(MANIFEST).contents()), tree)
    except BundleError as error:
        raise UserError(f"bundle: {error}") from None
    except dagger.QueryError as error:
        said = shown(one_line(error_message(error)), 200)
        raise UserError(f"bundle: {MANIFEST} cannot be read: {said}") from None
