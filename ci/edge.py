"""Between the caller and the pure core: reads the files and index pages that plans are made from."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import dagger

from ci.code import read_code
from ci.errors import UserError, choose, one_line, shown
from ci.indexes import Page, Pages, read_page
from ci.lock import read_lock
from ci.matrix import Cell, Matrix, default_text, read_matrix
from ci.pair import needed_pages
from ci.plan import Plan, Planner, checked_archs, named, parse_ray_mode, profile_of
from ci.shop import Options, Shop
from ci.sources import read_sources
from ci.stages.site import Site
from ci.survey import changed

MOST_JOBS = 1024


@dataclass(frozen=True)
class Desk:
    """What a call of the module works with: the matrix, the sources, the options, and the surroundings.

    `given` are the options of the call as they are typed; of a file only the name is known, of a service nothing.
    """

    shop: Shop
    site: Site
    options: Options
    text: str  # the matrix document, and what its file is called
    file: str
    given: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """Return the matrix in use."""
        return self.shop.matrix

    def names(self, cells: Sequence[Cell]) -> list[str]:
        """Return the names of the cells' images in records and reports."""
        return [named(cell, profile_of(cell, self.matrix, self.options)) for cell in cells]

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
        return [planner.plan(cell) for cell in cells]

    async def pages(self, cells: Sequence[Cell]) -> Pages:
        """Read the index pages that cells need, or why they cannot be read."""
        wanted = dict.fromkeys(address for cell in cells for address in needed_pages(cell, self.shop))
        return {address: await self._page(address) for address in wanted}

    async def changed(self, cells: tuple[Cell, ...], before: dagger.File | None) -> tuple[Cell, ...]:
        """Leave out the cells whose plan is the same as in an earlier survey, if there is one."""
        if before is None:
            return cells
        plans = changed(await self.plans(cells), await before.contents(), await before.name())
        return tuple(plan.cell for plan in plans)

    async def _page(self, address: str) -> Page:
        try:
            return read_page(address, await self.site.download(address).contents())
        except dagger.QueryError as error:
            return Page(address=address, problem=shown(one_line(str(error)), 200))


def selected(
    desk: Desk,
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


async def open_desk(
    *,
    sources: str | None,
    mirrors: dagger.File | None,
    mirror_service: dagger.Service | None,
    matrix_file: dagger.File | None,
    archs: str | None,
    jobs: int | None,
    ray: str,
    profile: str,
) -> Desk:
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
        profile=profile,
    )
    text, file = default_text(), "ci/matrix.toml"
    if matrix_file:
        text, file = await matrix_file.contents(), await matrix_file.name()
    matrix = read_matrix(text, file.rpartition("/")[2])
    sources = matrix.dockerfiles.sources if sources is None else sources
    over = (await mirrors.contents(), await mirrors.name()) if mirrors else ()
    chosen = read_sources(sources, *over)
    choose("sources profile with torch pins in the matrix", sources, matrix.torch)
    shop = Shop(matrix=matrix, profile=sources, sources=chosen, lock=read_lock(), code=read_code())
    choose("profile", profile, matrix.profiles)
    host = await mirror_service.hostname() if mirror_service else ""
    site = Site(mirror=mirror_service, mirror_host=host, index=chosen.wheels.index, jobs=jobs)
    given = {
        "sources": sources,
        "mirrors": await mirrors.name() if mirrors else None,
        "mirror-service": "tcp://HOST:PORT" if mirror_service else None,
        "matrix-file": await matrix_file.name() if matrix_file else None,
        "archs": archs,
        "jobs": jobs,
        "ray-mode": None if ray == Options().ray else ray,
        "profile": None if profile == Options().profile else profile,
    }
    words = tuple(f"--{name}={value}" for name, value in given.items() if value is not None)
    return Desk(shop=shop, site=site, options=options, given=words, text=text, file=file)
