"""Open a session: read the caller's files and the index pages, and plan with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagger

from ci.config import selection
from ci.config.locks import read_locks
from ci.config.matrix import Cell, Matrix, default_text, read_matrix
from ci.config.sources import read_sources
from ci.history.history import History
from ci.index.wheels import Page, Pages, read_page
from ci.plan.bundle_inputs import list_plan_inputs, require_in_bundle
from ci.plan.code_digests import digest_code, read_code
from ci.plan.externals import ExternalInput, deduplicate, file_input, image_input
from ci.plan.inputs import Options, PlanInputs
from ci.plan.pair import list_extension_pages
from ci.plan.plan import Plan, image_name, select_changed_plans
from ci.plan.planner import Planner, choose_variant
from ci.programs.make_bundle import MANIFEST, BundleError, read_manifest
from ci.sdk.ids import remember_id
from ci.session.options import CallOptions
from ci.stages.context import BuildContext
from ci.stages.offline import OfflineBundle
from ci.stages.online import Network
from ci.util.errors import UserError, require_choice, summarize_error
from ci.util.escape import escape_shell


@dataclass(frozen=True, kw_only=True)
class Session:
    """The inputs and the build environment of one call of the module.

    `matrix_text` is the matrix document in use and `matrix_file` its path. `flags` repeats the caller's options for
    messages.
    """

    inputs: PlanInputs
    context: BuildContext
    options: Options
    matrix_text: str
    matrix_file: str
    flags: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """Return the matrix in use."""
        return self.inputs.matrix

    @property
    def probe_container(self) -> dagger.Container:
        """Return the container in which the machine is read and the history is kept."""
        return self.context.image(self.inputs.sources.images.cpu)

    def externals(self, plan: Plan) -> tuple[ExternalInput, ...]:
        """Return the external inputs of a plan and of the steps around it."""
        return deduplicate([image_input(self.inputs.sources.images.cpu), *list_plan_inputs(plan)])

    def image_names(self, cells: Sequence[Cell]) -> list[str]:
        """Return the names of the cells' images in records and reports."""
        return [image_name(cell, choose_variant(cell, self.matrix, self.options)) for cell in cells]

    def command_line(self, function: str, cell: Cell, *more: str) -> str:
        """Return the command that calls a function for a cell, with the caller's options."""
        words = (function, f"--cuda={cell.cuda}", f"--python={cell.python}", f"--target={cell.target}", *more)
        return escape_shell(["./daggerw", "call", *self.flags, *words])

    async def plan(self, cell: Cell) -> Plan:
        """Plan one cell; see `plans`."""
        return (await self.plans([cell]))[0]

    async def plans(self, cells: Sequence[Cell]) -> list[Plan]:
        """Check and plan cells, and read the index pages that they need.

        Raises:
            UserError: a cell cannot be planned, or the bundle lacks something.
        """
        self._check(cells)
        planner = Planner(self.inputs, await self.pages(cells), self.options)
        plans = [planner.plan(cell) for cell in cells]
        if offline_bundle := self.context.offline_bundle:
            await self._check_bundle(offline_bundle, plans)
        return plans

    async def pages(self, cells: Sequence[Cell]) -> Pages:
        """Read the index pages of cells; a page that cannot be read has a problem, not links."""
        addresses = dict.fromkeys(
            address for cell in cells for address in list_extension_pages(cell, self.inputs)
        )
        return {address: await self._read_page(address) for address in addresses}

    async def changed(self, cells: tuple[Cell, ...], before: dagger.File | None) -> tuple[Cell, ...]:
        """Return the cells that an earlier `plan --format json` plans differently, or has not.

        Without an earlier plan, all cells have changed.
        """
        if before is None:
            return cells
        plans = select_changed_plans(await self.plans(cells), await before.contents(), await before.name())
        return tuple(plan.cell for plan in plans)

    def _check(self, cells: Sequence[Cell]) -> None:
        """Plan cells without index pages, so that errors show before the network is used."""
        planner = Planner(self.inputs, {}, self.options)
        for cell in cells:
            planner.plan(cell)

    async def _check_bundle(self, offline_bundle: OfflineBundle, plans: Sequence[Plan]) -> None:
        """Raise an error if a bundle lacks an external input of the plans, or if one is damaged."""
        by_plan = {plan.id: self.externals(plan) for plan in plans}
        require_in_bundle(offline_bundle.manifest, self.inputs.sources_name, by_plan)
        externals = deduplicate(external for externals in by_plan.values() for external in externals)
        await offline_bundle.check(externals, self.inputs.sources.images.cpu)

    async def _read_page(self, address: str) -> Page:
        offline_bundle, external = self.context.offline_bundle, file_input(address)
        if offline_bundle and external.bundle_path not in offline_bundle.manifest.sets:
            return Page(address=address, problem="the bundle does not have it")
        try:
            page = offline_bundle.file(external) if offline_bundle else self.context.download(address)
            return read_page(address, await page.contents())
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
    """Select cells by the filters that `cells`, `plan`, `matrix`, `bundle` and `report` share."""
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
    """Name the images of a report: the selected ones, and without a filter all recorded ones.

    The latter may be of other variants, or of an earlier matrix; those that the matrix excludes are left out.
    """
    selected = session.image_names(cells)
    if filtered:
        return selected
    matrix = session.matrix
    known = dict.fromkeys([*session.image_names(matrix.built), *history.cells()])
    chosen = set(selected)
    excluded = {cell.id for cell in matrix.cells if matrix.exclusion_reason(cell)}
    return [
        name
        for name in known
        if name in chosen or (history.latest(name) and name.partition("@")[0] not in excluded)
    ]


async def open_session(call: CallOptions) -> Session:
    """Read and check all options of a call, before anything is built.

    Raises:
        UserError: an option or a file is wrong.
    """
    options = call.plan_options()
    matrix_text, matrix_file = default_text(), "ci/matrix.toml"
    if call.matrix_file:
        matrix_text, matrix_file = await call.matrix_file.contents(), await call.matrix_file.name()
    inputs = await _read_inputs(call, read_matrix(matrix_text, matrix_file.rpartition("/")[2]))
    require_choice("variant", call.variant, inputs.matrix.variants)
    network = Network(
        mirror=remember_id(call.mirror_service) if call.mirror_service else None,
        mirror_host=await call.mirror_service.hostname() if call.mirror_service else "",
        index=inputs.sources.wheels.index,
    )
    offline_bundle = await open_bundle(call.from_bundle) if call.from_bundle else None
    return Session(
        inputs=inputs,
        context=BuildContext(network=offline_bundle or network, jobs=call.jobs),
        options=options,
        matrix_text=matrix_text,
        matrix_file=matrix_file,
        flags=await call.flags(inputs.sources_name),
    )


async def _read_inputs(call: CallOptions, matrix: Matrix) -> PlanInputs:
    name = matrix.dockerfiles.sources if call.sources is None else call.sources
    mirrors = (await call.mirrors.contents(), await call.mirrors.name()) if call.mirrors else ()
    sources = read_sources(name, *mirrors)
    require_choice("sources profile with torch pins in the matrix", name, matrix.torch)
    return PlanInputs(
        matrix=matrix, sources_name=name, sources=sources, locks=read_locks(), code=digest_code(read_code())
    )


async def open_bundle(tree: dagger.Directory) -> OfflineBundle:
    """Read the manifest of a bundle.

    Raises:
        UserError: the folder is not a bundle, or its manifest is damaged.
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
        raise UserError(f"bundle: {MANIFEST} cannot be read: {summarize_error(error)}") from None
