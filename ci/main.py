"""The public functions: each parses, delegates and returns."""

import dagger
from dagger import dag, object_type

from ci import args
from ci.bundle.collect import collect_bundle
from ci.config.selection import find_cell, select_pair
from ci.config.variants import describe_variants
from ci.generate.dockerfile import dockerfile
from ci.generate.files import render_files
from ci.generate.reference import REFERENCE, render_reference
from ci.inspection import verify
from ci.inspection.debug import debug_container
from ci.inspection.size_report import size_report
from ci.plan.lint import lint_locks, lint_matrix
from ci.report.model import make_report
from ci.report.writer import render_report
from ci.sdk.compat import check, own_fields
from ci.sdk.functions import public
from ci.session.clock import utc_now
from ci.session.history import load_history, open_store
from ci.session.session import Session, images_to_report, open_session, select_cells
from ci.stages.builder import ImageBuilder
from ci.stages.image import text_directory, unpack
from ci.stages.pack import archive_environment, export_environment
from ci.stages.trim import strip_image
from ci.sweep.notify import Webhook
from ci.sweep.publish import open_publisher
from ci.sweep.run import SweepOptions, preview_plans, publish_cell, run_sweep
from ci.util.errors import UserError

# Every function that plans may read index pages, and stands on base images and packages that change upstream:
# its result is kept for a session. The layers below it have caches of their own. Each ends with `sync`, so that
# a step that fails shows as that step and not as a result that could not be read.


@object_type
class CslrImages:
    """A matrix of container images for sign-language-recognition research: CUDA x Python x target."""

    sources: args.SourcesName = "upstream"
    mirrors: args.Mirrors = None
    mirror_service: args.MirrorService = None
    matrix_file: args.MatrixFile = None
    archs: args.Archs = None
    jobs: args.Jobs = None
    ray_mode: args.RayMode = "stable"
    variant: args.Variant = "default"
    from_bundle: args.FromBundle = None

    # -- what there is -----------------------------------------------------------------------------------

    @public(cache="session")
    async def cells(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
    ) -> list[str]:
        """List the ids of the cells that the filters select: `cells --cuda 12.8.1 --only '*-ray-*'`."""
        session = await self._session()
        return [cell.id for cell in select_cells(session, cuda, python, target, phase, only)]

    @public(cache="never")
    async def plan(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
        changed_since: args.ChangedSince = None,
        format: args.PlanFormat = "text",  # noqa: A002 - the option's name
        history: args.HistoryFile = None,
    ) -> str:
        """Tell what would be built and why, without building: `plan --cuda 12.8.1 --python 3.13 --target devel`."""
        session = await self._session()
        cells = await session.changed(select_cells(session, cuda, python, target, phase, only), changed_since)
        return await preview_plans(session, cells, format, history)

    @public(cache="session")
    async def variants(self) -> str:
        """Tell what each `--variant` takes out of runtimes, promises and gives up: `variants`."""
        matrix = (await self._session()).matrix
        return describe_variants(matrix.variants, matrix.rules, matrix.verify.checks)

    @public(cache="session")
    async def dockerfile(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Write a pair's images as a Dockerfile.

        Example: `dockerfile --cuda 12.8.1 --python 3.13 export --path dockerfiles/cu12.8.1-py3.13`.
        """
        session = await self._session()
        plans = await session.plans(select_pair(session.matrix, cuda, python))
        return text_directory(
            dockerfile(plans, f"dockerfiles/{plans[0].cell.pair_id}", session.inputs.locks.paths_by_text())
        )

    @public(cache="session")
    async def generate(self) -> dagger.Directory:
        """Write all files that are made from the matrix: Dockerfiles, a bake file, CI files, the reference page.

        They go over the repository, whatever sources are chosen: `generate export --path .`
        """
        session = await self._session(for_files=True)
        read = await session.pages(session.matrix.built)
        return text_directory(
            {
                **render_files(session.inputs, session.options, read),
                REFERENCE: render_reference(CslrImages, own_fields(CslrImages), vars(args), session.matrix),
            }
        )

    # -- images ------------------------------------------------------------------------------------------

    @public(cache="session")
    async def build(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.Container:
        """Build one image: `build --cuda 12.8.1 --python 3.13 --target ray-runtime`."""
        return await (await self._build(cuda, python, target)).image().sync()

    @public(cache="session")
    async def devel(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the devel image: CUDA toolkit, compilers, conda tooling, PyTorch and PyG.

        Example: `devel --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "devel")).image().sync()

    @public(cache="session")
    async def runtime(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the runtime image: the environment of devel, able to compile extensions.

        Example: `runtime --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "runtime")).image().sync()

    @public(cache="session")
    async def ray_devel(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build devel with Ray.

        Example: `ray-devel --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "ray-devel")).image().sync()

    @public(cache="session")
    async def ray_runtime(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the runtime with Ray; it shares all but a layer with `runtime`.

        Example: `ray-runtime --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "ray-runtime")).image().sync()

    @public(cache="session")
    async def marimo_devel(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build devel with Ray and marimo.

        Example: `marimo-devel --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "marimo-devel")).image().sync()

    @public(cache="session")
    async def marimo_runtime(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the runtime with Ray and marimo, which serves notebooks on port 8080.

        Example: `marimo-runtime --cuda 13.1.1 --python 3.14 up`.
        """
        return await (await self._build(cuda, python, "marimo-runtime")).image().sync()

    # -- stages ------------------------------------------------------------------------------------------

    @public(cache="session")
    async def toolkit(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Make the CUDA toolkit: nvcc, headers and the CUDA runtime library.

        Example: `toolkit --cuda 12.8.1 --python 3.13 export --path cuda`.
        """
        found = (await self._build(cuda, python, "runtime")).directory("toolkit")
        if found is None:
            raise UserError("cpu images have no CUDA toolkit")
        return await found.sync()

    @public(cache="session")
    async def channel(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Make the conda channel that the `registries` sources use.

        Example: `channel --cuda 12.8.1 --python 3.13 export --path channel`.
        """
        found = (await self._build(cuda, python, "devel")).channel()
        if found is None:
            raise UserError(f"the {self.sources} sources name conda channels: none is made")
        return await found.sync()

    @public(cache="session")
    async def base(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Make the devel base: compilers, toolkit, and the tools for environments.

        Example: `base --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "devel")).container("base").sync()

    @public(cache="session")
    async def conda(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Add the conda environment at /opt/env.

        Example: `conda --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "devel")).container("conda").sync()

    @public(cache="session")
    async def torch(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Add PyTorch, torchvision and torchaudio.

        Example: `torch --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "runtime")).container("torch").sync()

    @public(cache="session")
    async def wheels(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Compile the PyG extensions that have no wheel; report.json holds the times.

        Example: `wheels --cuda 12.8.1 --python 3.13 export --path wheels`.
        """
        found = (await self._build(cuda, python, "runtime")).directory("wheels")
        if found is None:
            raise UserError("every PyG extension has a wheel: nothing is compiled")
        return await found.sync()

    @public(cache="session")
    async def pyg(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Add PyTorch Geometric with its extensions.

        Example: `pyg --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "runtime")).container("pyg").sync()

    @public(cache="session")
    async def ray(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Add Ray.

        Example: `ray --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "ray-runtime")).container("ray").sync()

    @public(cache="session")
    async def marimo(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Add marimo.

        Example: `marimo --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "marimo-runtime")).container("marimo").sync()

    @public(cache="session")
    async def runtime_base(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Make the runtime base: compilers and toolkit for JIT, no environment yet.

        Example: `runtime-base --cuda 12.8.1 --python 3.13 terminal`.
        """
        return await (await self._build(cuda, python, "runtime")).container("runtime-base").sync()

    @public(cache="session")
    async def pack(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.File:
        """Export the environment with conda-pack, for machines without containers.

        Example: `pack --cuda 12.8.1 --python 3.13 --target devel export --path env.tar.zst`.
        """
        return await archive_environment(await self._build(cuda, python, target)).sync()

    @public(cache="session")
    async def packed(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.Directory:
        """Export the environment with conda-pack as a tree for /opt/env, as image layers hold it.

        Example: `packed --cuda 12.8.1 --python 3.13 --target devel export --path tree`.
        """
        builder = await self._build(cuda, python, target)
        return await export_environment(builder, builder.stage_context("pack"), builder.environment()).sync()

    @public(cache="session")
    async def unpack(self, cuda: args.Cuda, python: args.Python, packed: args.Packed) -> dagger.Container:
        """Lay a packed environment over the runtime base: the other end of `packed`.

        Example: `unpack --cuda 12.8.1 --python 3.13 --packed tree terminal`.
        """
        base = (await self._build(cuda, python, "runtime")).container("runtime-base")
        return await unpack(base, [packed]).sync()

    @public(cache="session")
    async def strip(self, cuda: args.Cuda, python: args.Python, image: args.AnyImage) -> dagger.Container:
        """Strip symbols from the libraries of an image's environment; a file that would break stays whole.

        Example: `strip --cuda 12.8.1 --python 3.13 --image registry.example/image:tag export --path image.tar`.
        """
        build = await self._build(cuda, python, "devel")
        return await strip_image(build.context, build.container("base"), image).sync()

    # -- the whole matrix --------------------------------------------------------------------------------

    @public(cache="never")
    async def matrix(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
        changed_since: args.ChangedSince = None,
        limit: args.Limit = None,
        disk_floor: args.DiskFloor = 30.0,
        fail_fast: args.FailFast = False,
        no_verify: args.NoVerify = False,
        history: args.HistoryFile = None,
        publish: args.Publish = False,
        repositories: args.Repositories = None,
        registry_user: args.RegistryUser = None,
        registry_password: args.RegistryPassword = None,
        docker_config: args.DockerConfig = None,
        registry_service: args.RegistryService = None,
        compression: args.Compression = "zstd",
        webhook: args.Webhook = None,
        webhook_service: args.WebhookService = None,
    ) -> str:
        """Build, verify and measure all cells, or those that the filters select, and tell how each came out.

        A cell that fails stops no other; the call fails at its end if any did.

        Example: `matrix --phase 1 --limit 2`.
        """
        session = await self._session()
        cells = await session.changed(select_cells(session, cuda, python, target, phase, only), changed_since)
        choices = SweepOptions(
            limit=limit, disk_floor=disk_floor, fail_fast=fail_fast, verified=not no_verify
        )
        publisher = await open_publisher(
            name=session.matrix.image.name,
            repositories=repositories or (),
            user=registry_user,
            password=registry_password,
            docker_config=docker_config,
            service=registry_service,
            compression=compression,
        )
        hook = Webhook(webhook, webhook_service)
        return await run_sweep(session, cells, choices, publisher if publish else None, history, hook)

    @public(cache="never")
    async def publish(
        self,
        cuda: args.Cuda,
        python: args.Python,
        target: args.Target,
        repositories: args.Repositories = None,
        registry_user: args.RegistryUser = None,
        registry_password: args.RegistryPassword = None,
        docker_config: args.DockerConfig = None,
        registry_service: args.RegistryService = None,
        compression: args.Compression = "zstd",
    ) -> list[str]:
        """Build and verify one image, publish it under its tags, and return the references with digests.

        Example: `publish --cuda 12.8.1 --python 3.13 --target runtime --docker-config file:login.json`.
        """
        session = await self._session()
        cell = find_cell(session.matrix, cuda, python, target)
        publisher = await open_publisher(
            name=session.matrix.image.name,
            repositories=repositories or (),
            user=registry_user,
            password=registry_password,
            docker_config=docker_config,
            service=registry_service,
            compression=compression,
        )
        return await publish_cell(session, cell, publisher)

    @public(cache="session")
    async def bundle(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
    ) -> dagger.Directory:
        """Collect all that cells are built from, for a site without a network; compiles nothing.

        The folder has each content once, by its hash; `--from-bundle PATH` builds from it. `./daggerw bundle PATH`
        adds the embedded engine itself.

        Example: `bundle --phase 1 export --path PATH`.
        """
        session = await self._session()
        return await collect_bundle(session, select_cells(session, cuda, python, target, phase, only))

    @public(cache="never")
    async def debug(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.Container:
        """Give the container in which a cell's failing command runs, as it was before the command.

        The command is in it: `sh /run/cslr-images/failed.sh`. With `terminal` after the call it opens there, with
        `export --path failed.tar` it is written as an image; `./daggerw debug` does the one or the other.

        Example: `debug --cuda 12.8.1 --python 3.13 --target ray-runtime`.
        """
        session = await self._session()
        return await debug_container(session, find_cell(session.matrix, cuda, python, target))

    @public(cache="never")
    async def history(self, given: args.HistoryFile = None) -> dagger.File:
        """Give the records of all builds, with those of a file of your own: `history export --path history.jsonl`."""
        found = (await load_history(open_store(await self._session()), given)).history
        return dag.directory().with_new_file("history.jsonl", found.text()).file("history.jsonl")

    @public(cache="never")
    async def report(
        self,
        format: args.ReportFormat = "terminal",  # noqa: A002 - the option's name
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
        history: args.HistoryFile = None,
        into: args.Into = None,
    ) -> str:
        """Tell how the cells came out by the records; without a filter, also of each other cell that was ever built.

        Example: `report --format html -o report.html`.
        """
        session = await self._session()
        cells = select_cells(session, cuda, python, target, phase, only)
        known = await load_history(open_store(session), history)
        names = images_to_report(
            session, cells, known.history, filtered=any((cuda, python, target, phase, only))
        )
        report = make_report(known.history, names, now=utc_now(), live=known.live)
        return render_report(report, format, await into.contents() if into else None)

    # -- trust -------------------------------------------------------------------------------------------

    @public(cache="session")
    async def size(
        self,
        cuda: args.Cuda,
        python: args.Python,
        target: args.Target,
        format: args.SizeFormat = "text",  # noqa: A002 - the option's name
        against: args.Against = None,
    ) -> str:
        """Tell where an image's bytes are, and with `--against` what changed.

        Example: `size --cuda 12.8.1 --python 3.13 --target runtime --against before.json`.
        """
        build = await self._build(cuda, python, target)
        return await size_report(
            build, format, (await against.contents(), await against.name()) if against else None
        )

    @public(cache="never")
    async def verify(
        self, cuda: args.Cuda, python: args.Python, target: args.Target, image: args.Verified = None
    ) -> str:
        """Run in the image what its target promises; fails naming each promise that is not kept.

        Example: `verify --cuda 12.8.1 --python 3.13 --target runtime`.
        """
        build = await self._build(cuda, python, target)
        return await verify.verify(build.plan, image or build.image())

    @public(cache="session")
    @check
    async def lint_matrix(self) -> str:
        """Check that every image can be planned: all cells, variants and sources. `dagger check` runs it too.

        Example: `lint-matrix`.
        """
        return lint_matrix((await self._session()).inputs)

    @public(cache="session")
    @check
    async def lint_locks(self) -> str:
        """Check that the locks are what the matrix asks for. `dagger check` runs it too.

        Example: `lint-locks`.
        """
        return lint_locks((await self._session()).inputs)

    # -- new versions ------------------------------------------------------------------------------------

    @public(cache="never")
    async def latest(self, format: args.LatestFormat = "text") -> str:  # noqa: A002 - the option's name
        """List newer versions of everything that is pinned, and what each would do to which cells.

        Reads the indexes of the sources; one that cannot be read is said, and nothing is guessed for it.

        Example: `latest --format json`.
        """
        from ci.updates.resolve import show_outdated  # not at the top: what only these two functions load

        return await show_outdated(await self._session(), format)

    @public(cache="never")
    async def bump(self, to: args.To = None, format: args.BumpFormat = "text") -> str:  # noqa: A002
        """Put newer versions into the matrix: those that are named, or the newest of all that break no cell.

        Tells what would change; `--format toml` with `-o ci/matrix.toml` writes it. Comments stay.

        Example: `bump --to ray=2.60.0 --format toml -o ci/matrix.toml`.
        """
        from ci.updates.resolve import show_bump

        return await show_bump(await self._session(), to or (), format)

    async def _session(self, *, for_files: bool = False) -> Session:
        return await open_session(
            sources=None if for_files else self.sources,
            mirrors=self.mirrors,
            mirror_service=self.mirror_service,
            matrix_file=self.matrix_file,
            archs=self.archs,
            jobs=self.jobs,
            ray=self.ray_mode,
            variant=self.variant,
            bundle=None if for_files else self.from_bundle,
        )

    async def _build(self, cuda: str, python: str, target: str) -> ImageBuilder:
        session = await self._session()
        return ImageBuilder(
            await session.plan(find_cell(session.matrix, cuda, python, target)), session.context
        )
