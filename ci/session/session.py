"""Between the caller and the pure core: reads the files and index pages that plans are made from."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import dagger

from ci.choices import MAX_JOBS
from ci.config import selection
from ci.config.locks import read_locks
from ci.config.matrix import Cell, Matrix, default_text, read_matrix
from ci.config.sources import read_sources
from ci.history.records import History
from ci.index.wheels import Page, Pages, read_page
from ci.plan.bundle_inputs import list_plan_inputs, require_in_bundle
from ci.plan.code_digests import digest_code, read_code
from ci.plan.externals import ExternalInput, deduplicate, file_input, image_input
from ci.plan.inputs import Options, PlanInputs
from ci.plan.pair import extension_pages
from ci.plan.plan import Plan, changed_plans, image_name
from ci.plan.planner import Planner, checked_archs, parse_ray_mode, variant_of
from ci.programs.bundle import MANIFEST, BundleError, read_manifest
from ci.stages.context import BuildContext
from ci.stages.offline import OfflineBundle
from ci.stages.online import Network
from ci.util.errors import UserError, require_choice, summarize_error


@dataclass(frozen=True)
class Session:
    """What a call of the module works with: the matrix, the sources, the options, and the surroundings.

    `given` are the options of the call as they are typed; of a file only the name is known, of a service nothing.
    """

    inputs: PlanInputs
    context: BuildContext
    options: Options
    text: str  # the matrix document, and what its file is called
    file: str
    call_options: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """Return the matrix in use."""
        return self.inputs.matrix

    @property
    def probe_container(self) -> dagger.Container:
        """Return the container in which the machine is looked at and records are kept."""
        return self.context.image(self.inputs.sources.images.cpu)

    def externals(self, plan: Plan) -> tuple[ExternalInput, ...]:
        """Return what a plan and the sweep around it take from outside."""
        return deduplicate([image_input(self.inputs.sources.images.cpu), *list_plan_inputs(plan)])

    def image_names(self, cells: Sequence[Cell]) -> list[str]:
        """Return the names of the cells' images in records and reports."""
        return [image_name(cell, variant_of(cell, self.matrix, self.options)) for cell in cells]

    def call(self, function: str, cell: Cell, *more: str) -> str:
        """Return the line that calls a function for a cell with the same options."""
        words = (function, f"--cuda={cell.cuda}", f"--python={cell.python}", f"--target={cell.target}", *more)
        return shlex.join(["./daggerw", "call", *self.call_options, *words])

    async def plan(self, cell: Cell) -> Plan:
        """Plan a cell, with the index pages that it needs."""
        return (await self.plans([cell]))[0]

    async def plans(self, cells: Sequence[Cell]) -> list[Plan]:
        """Plan cells, with the index pages that they need."""
        blind = Planner(self.inputs, {}, self.options)
        for cell in cells:  # every mistake comes before the first look at the network
            blind.plan(cell)
        planner = Planner(self.inputs, await self.pages(cells), self.options)
        plans = [planner.plan(cell) for cell in cells]
        if offline_bundle := self.context.offline_bundle:
            wanted = {plan.id: self.externals(plan) for plan in plans}
            require_in_bundle(offline_bundle.manifest, self.inputs.sources_name, wanted)
            every = deduplicate(external for externals in wanted.values() for external in externals)
            await offline_bundle.check(every, self.inputs.sources.images.cpu)
        return plans

    async def pages(self, cells: Sequence[Cell]) -> Pages:
        """Read the index pages that cells need, or why they cannot be read."""
        wanted = dict.fromkeys(address for cell in cells for address in extension_pages(cell, self.inputs))
        return {address: await self._page(address) for address in wanted}

    async def changed(self, cells: tuple[Cell, ...], before: dagger.File | None) -> tuple[Cell, ...]:
        """Leave out the cells whose plan is the same as in an earlier survey, if there is one."""
        if before is None:
            return cells
        plans = changed_plans(await self.plans(cells), await before.contents(), await before.name())
        return tuple(plan.cell for plan in plans)

    async def _page(self, address: str) -> Page:
        offline_bundle, external = self.context.offline_bundle, file_input(address)
        if offline_bundle and external.bundle_path not in offline_bundle.manifest.sets:
            return Page(address=address, problem="the bundle does not have it")
        try:
            found = offline_bundle.file(external) if offline_bundle else self.context.download(address)
            return read_page(address, await found.contents())
        except dagger.QueryError as error:
            return Page(address=address, problem=summarize_error(error))


def select_cells(
    session: Session,
    cuda: Sequence[str] | None,
    python: Sequence[str] | None,
    target: Sequence[str] | None,
    phase: Sequence[int] | None,
    only: Sequence[str] | None,
) -> tuple[Cell, ...]:
    """Select cells by the filters that `cells`, `plan`, `matrix` and `report` share."""
    return selection.select_cells(
        session.matrix,
        cuda=cuda or (),
        python=python or (),
        target=target or (),
        phase=phase or (),
        only=only or (),
    )


def images_to_report(
    session: Session, cells: Sequence[Cell], history: History, *, filtered: bool
) -> list[str]:
    """Name the images of a report: of the selected cells, and where nothing is filtered of all that have records."""
    image_names = session.image_names(cells)
    if filtered:
        return image_names
    every = session.image_names(session.matrix.built)
    return [name for name in every if name in image_names or history.latest(name)]


async def open_session(
    *,
    sources: str | None,
    mirrors: dagger.File | None,
    mirror_service: dagger.Service | None,
    matrix_file: dagger.File | None,
    archs: str | None,
    jobs: int | None,
    ray_mode: str,
    variant: str,
    from_bundle: dagger.Directory | None = None,
) -> Session:
    """Read and check everything that a call was given, before anything is built.

    No sources means those that the matrix names for Dockerfiles.

    Raises:
        UserError: any of it is wrong.
    """
    if jobs is not None and not 1 <= jobs <= MAX_JOBS:
        raise UserError(f"bad number of jobs {jobs}; accepted: 1 to {MAX_JOBS}")
    options = Options(
        archs=checked_archs(archs) if archs is not None else None,
        ray=parse_ray_mode(ray_mode),
        variant=variant,
    )
    text, file = default_text(), "ci/matrix.toml"
    if matrix_file:
        text, file = await matrix_file.contents(), await matrix_file.name()
    matrix = read_matrix(text, file.rpartition("/")[2])
    sources = matrix.dockerfiles.sources if sources is None else sources
    over = (await mirrors.contents(), await mirrors.name()) if mirrors else ()
    chosen = read_sources(sources, *over)
    require_choice("sources profile with torch pins in the matrix", sources, matrix.torch)
    inputs = PlanInputs(
        matrix=matrix, sources_name=sources, sources=chosen, locks=read_locks(), code=digest_code(read_code())
    )
    require_choice("variant", variant, matrix.variants)
    host = await mirror_service.hostname() if mirror_service else ""
    offline_bundle = await open_bundle(from_bundle) if from_bundle else None
    network = Network(mirror=mirror_service, mirror_host=host, index=chosen.wheels.index)
    context = BuildContext(network=offline_bundle or network, jobs=jobs)
    call_options = {
        "sources": sources,
        "mirrors": await mirrors.name() if mirrors else None,
        "mirror-service": "tcp://HOST:PORT" if mirror_service else None,
        "matrix-file": await matrix_file.name() if matrix_file else None,
        "archs": archs,
        "jobs": jobs,
        "ray-mode": None if ray_mode == Options().ray else ray_mode,
        "variant": None if variant == Options().variant else variant,
        "from-bundle": "PATH" if from_bundle else None,
    }
    words = tuple(f"--{name}={value}" for name, value in call_options.items() if value is not None)
    return Session(inputs=inputs, context=context, options=options, call_options=words, text=text, file=file)


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
        said = summarize_error(error)
        raise UserError(f"bundle: {MANIFEST} cannot be read: {said}") from None
