"""Define the public functions of the module: each parses its arguments, delegates and returns."""

import dagger

from ci import args
from ci.bundle.collect import collect_bundle
from ci.config.selection import find_cell, select_pair
from ci.config.variants import describe_variants
from ci.generate.dockerfile import dockerfile
from ci.generate.files import render_files
from ci.generate.reference import REFERENCE, render_reference
from ci.inspection.debug import debug_container
from ci.inspection.size_report import report_size
from ci.inspection.verify import verify_image
from ci.plan.lint import lint_locks, lint_matrix
from ci.sdk.compat import check, own_fields
from ci.sdk.functions import public
from ci.session.history import load_history, open_store
from ci.session.options import CallOptions
from ci.session.session import Session, open_session, select_cells
from ci.stages.builder import ImageBuilder
from ci.stages.image import unpack
from ci.stages.pack import export_archive, export_environment
from ci.stages.texts import make_text_directory
from ci.stages.trim import strip_image
from ci.sweep.notify import Webhook
from ci.sweep.publish import PublishOptions
from ci.sweep.report import report_cells
from ci.sweep.run import SweepOptions, preview_plans, publish_cell, run_sweep
from ci.sweep.single import build_image
from ci.util.errors import require_made

PAIR = "--cuda 12.8.1 --python 3.13"  # of the examples

# Results are cached for a session at most, because index pages, base images and packages change upstream. Objects are
# returned after `sync`, so that a failed step is reported as that step and not as a result that cannot be read.


@dagger.object_type
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

    # -- cells, plans and generated files ----------------------------------------------------------------

    @public(cache="session", example="--cuda 12.8.1 --only '*-ray-*'")
    async def cells(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
    ) -> list[str]:
        """List the ids of the cells that the filters select."""
        session = await self._session()
        return [cell.id for cell in select_cells(session, cuda, python, target, phase, only)]

    @public(cache="never", example=f"{PAIR} --target devel")
    async def plan(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
        changed_since: args.ChangedSince = None,
        format: args.PlanFormat = "text",
        history: args.HistoryFile = None,
    ) -> str:
        """Show what would be built and why, without building it."""
        session = await self._session()
        cells = await session.changed(select_cells(session, cuda, python, target, phase, only), changed_since)
        return await preview_plans(session, cells, format, history)

    @public(cache="session")
    async def variants(self) -> str:
        """Describe each `--variant`: what it removes from runtime images, and which checks it runs and waives."""
        matrix = (await self._session()).matrix
        return describe_variants(matrix.variants, matrix.rules, matrix.verify.checks)

    @public(cache="session", example=f"{PAIR} export --path dockerfiles/cu12.8.1-py3.13")
    async def dockerfile(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Write all images of a pair as one Dockerfile."""
        session = await self._session()
        plans = await session.plans(select_pair(session.matrix, cuda, python))
        folder = f"dockerfiles/{plans[0].cell.pair_id}"
        return make_text_directory(dockerfile(plans, folder, session.inputs.locks.paths_by_text()))

    @public(cache="session", example="export --path .")
    async def generate(self) -> dagger.Directory:
        """Write all files that are generated from the matrix: Dockerfiles, a bake file, CI files, the reference.

        `--sources` does not change them; export them over the repository.
        """
        session = await self._session(sources=None, from_bundle=None)
        files = render_files(session.inputs, session.options, await session.pages(session.matrix.built))
        page = render_reference(CslrImages, own_fields(CslrImages), vars(args), session.matrix)
        return make_text_directory({**files, REFERENCE: page})

    # -- images, and their stages ------------------------------------------------------------------------

    @public(cache="session", example=f"{PAIR} --target ray-runtime")
    async def build(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.Container:
        """Build one image."""
        session = await self._session()
        return await build_image(session, find_cell(session.matrix, cuda, python, target))

    @public(cache="session", example=f"{PAIR} terminal")
    async def devel(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the devel image: CUDA toolkit, compilers, conda tooling, PyTorch and PyG."""
        return await (await self._builder(cuda, python, "devel")).image().sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def runtime(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the runtime image: the environment of devel, able to compile extensions."""
        return await (await self._builder(cuda, python, "runtime")).image().sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def ray_devel(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the devel image with Ray."""
        return await (await self._builder(cuda, python, "ray-devel")).image().sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def ray_runtime(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the runtime image with Ray: the layers of `runtime` and one more."""
        return await (await self._builder(cuda, python, "ray-runtime")).image().sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def marimo_devel(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the devel image with Ray and marimo."""
        return await (await self._builder(cuda, python, "marimo-devel")).image().sync()

    @public(cache="session", example="--cuda 13.1.1 --python 3.14 up")
    async def marimo_runtime(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Build the runtime image with Ray and marimo, which serves notebooks on port 8080."""
        return await (await self._builder(cuda, python, "marimo-runtime")).image().sync()

    @public(cache="session", example=f"{PAIR} export --path cuda")
    async def toolkit(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Make the CUDA toolkit: nvcc, headers and the CUDA runtime library."""
        toolkit = (await self._builder(cuda, python, "runtime")).directory("toolkit")
        return await require_made(toolkit, "cpu images have no CUDA toolkit").sync()

    @public(cache="session", example=f"{PAIR} export --path channel")
    async def channel(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Make the conda channel that the `registries` sources use."""
        reason = f"the {self.sources} sources name conda channels: none is made"
        return await require_made((await self._builder(cuda, python, "devel")).channel(), reason).sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def base(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Make the devel base: compilers, CUDA toolkit and conda tooling."""
        return await (await self._builder(cuda, python, "devel")).container("base").sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def conda(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Create the conda environment at /opt/env on the devel base."""
        return await (await self._builder(cuda, python, "devel")).container("conda").sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def torch(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Install PyTorch, torchvision and torchaudio into the environment."""
        return await (await self._builder(cuda, python, "runtime")).container("torch").sync()

    @public(cache="session", example=f"{PAIR} export --path wheels")
    async def wheels(self, cuda: args.Cuda, python: args.Python) -> dagger.Directory:
        """Compile the PyG extensions that have no wheel; report.json has the times."""
        wheels = (await self._builder(cuda, python, "runtime")).directory("wheels")
        return await require_made(wheels, "every PyG extension has a wheel: nothing is compiled").sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def pyg(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Install PyTorch Geometric and its extensions into the environment."""
        return await (await self._builder(cuda, python, "runtime")).container("pyg").sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def ray(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Install Ray into the environment."""
        return await (await self._builder(cuda, python, "ray-runtime")).container("ray").sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def marimo(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Install marimo into the environment."""
        return await (await self._builder(cuda, python, "marimo-runtime")).container("marimo").sync()

    @public(cache="session", example=f"{PAIR} terminal")
    async def runtime_base(self, cuda: args.Cuda, python: args.Python) -> dagger.Container:
        """Make the runtime base: compilers and a trimmed CUDA toolkit, without an environment."""
        return await (await self._builder(cuda, python, "runtime")).container("runtime-base").sync()

    @public(cache="session", example=f"{PAIR} --target devel export --path env.tar.zst")
    async def pack(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.File:
        """Export the environment as a conda-pack archive, for machines without containers."""
        return await export_archive(await self._builder(cuda, python, target)).sync()

    @public(cache="session", example=f"{PAIR} --target devel export --path tree")
    async def packed(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.Directory:
        """Export the environment with conda-pack as a folder for /opt/env, as image layers hold it."""
        builder = await self._builder(cuda, python, target)
        return await export_environment(builder, builder.stage_context("pack"), builder.environment()).sync()

    @public(cache="session", example=f"{PAIR} --packed tree terminal")
    async def unpack(self, cuda: args.Cuda, python: args.Python, packed: args.Packed) -> dagger.Container:
        """Add an environment that `packed` exported to the runtime base."""
        builder = await self._builder(cuda, python, "runtime")
        return await unpack(builder.container("runtime-base"), [packed]).sync()

    @public(cache="session", example=f"{PAIR} --image registry.example/image:tag export --path image.tar")
    async def strip(self, cuda: args.Cuda, python: args.Python, image: args.AnyImage) -> dagger.Container:
        """Strip symbols from the libraries of an image's environment; files that would break stay whole."""
        builder = await self._builder(cuda, python, "devel")
        return await strip_image(builder.context, builder.container("base"), image).sync()

    # -- many cells --------------------------------------------------------------------------------------

    @public(cache="never", example="--phase 1 --limit 2")
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
        verify: args.Verify = "once",
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
        """Build, verify and measure all cells that the filters select, and report the result of each.

        A failed cell does not stop the others; the call fails at its end if any cell failed.
        """
        session = await self._session()
        cells = await session.changed(select_cells(session, cuda, python, target, phase, only), changed_since)
        sweep = SweepOptions(
            limit=limit, disk_floor=disk_floor, fail_fast=fail_fast, verify=verify, publish=publish
        )
        publishing = PublishOptions(
            repositories, registry_user, registry_password, docker_config, registry_service, compression
        )
        hook = Webhook(webhook, webhook_service)
        return await run_sweep(session, cells, sweep, publishing, history, hook)

    @public(cache="never", example=f"{PAIR} --target runtime --docker-config file:login.json")
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
        """Build and verify one image, publish it under its tags, and return the references with digests."""
        session = await self._session()
        cell = find_cell(session.matrix, cuda, python, target)
        publishing = PublishOptions(
            repositories, registry_user, registry_password, docker_config, registry_service, compression
        )
        return await publish_cell(session, cell, publishing)

    @public(cache="session", example="--phase 1 export --path PATH")
    async def bundle(
        self,
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
    ) -> dagger.Directory:
        """Collect everything that cells are built from, for a site without a network; compiles nothing.

        The folder has each content once, under its hash; `--from-bundle PATH` builds from it. `./daggerw bundle PATH`
        also adds the embedded engine.
        """
        session = await self._session()
        return await collect_bundle(session, select_cells(session, cuda, python, target, phase, only))

    @public(cache="never", example=f"{PAIR} --target ray-runtime")
    async def debug(self, cuda: args.Cuda, python: args.Python, target: args.Target) -> dagger.Container:
        """Return the container in which a cell's failing command runs, as it was before the command.

        The command is in it as `sh /run/cslr-images/failed.sh`. Add `terminal` to open the container, or
        `export --path failed.tar` to write it as an image; `./daggerw debug` chooses between the two.
        """
        session = await self._session()
        return await debug_container(session, find_cell(session.matrix, cuda, python, target))

    @public(cache="never", example="export --path history.jsonl")
    async def history(self, history: args.HistoryFile = None) -> dagger.File:
        """Return the records of all builds, merged with those of your own file."""
        known = (await load_history(open_store(await self._session()), history)).history
        return make_text_directory({"history.jsonl": known.text()}).file("history.jsonl")

    @public(cache="never", example="--format html -o report.html")
    async def report(
        self,
        format: args.ReportFormat = "terminal",
        cuda: args.Cudas = None,
        python: args.Pythons = None,
        target: args.Targets = None,
        phase: args.Phases = None,
        only: args.Only = None,
        history: args.HistoryFile = None,
        into: args.Into = None,
    ) -> str:
        """Report from the records how each cell was last built; without a filter, of every cell ever built."""
        session = await self._session()
        cells = select_cells(session, cuda, python, target, phase, only)
        filtered = any((cuda, python, target, phase, only))
        return await report_cells(session, cells, format, filtered=filtered, history=history, page=into)

    # -- sizes, checks and new versions ------------------------------------------------------------------

    @public(cache="session", example=f"{PAIR} --target runtime --against before.json")
    async def size(
        self,
        cuda: args.Cuda,
        python: args.Python,
        target: args.Target,
        format: args.SizeFormat = "text",
        against: args.Against = None,
    ) -> str:
        """Show where an image's bytes are and, with `--against`, what changed."""
        before = (await against.contents(), await against.name()) if against else None
        return await report_size(await self._builder(cuda, python, target), format, before)

    @public(cache="never", example=f"{PAIR} --target runtime")
    async def verify(
        self, cuda: args.Cuda, python: args.Python, target: args.Target, image: args.Verified = None
    ) -> str:
        """Run the checks of a target in its image; fails if a check fails, and names each that did."""
        session = await self._session()
        return await verify_image(session, find_cell(session.matrix, cuda, python, target), image)

    @public(cache="session")
    @check
    async def lint_matrix(self) -> str:
        """Check that every image can be planned: all cells, variants and sources. `dagger check` runs it too."""
        return lint_matrix((await self._session()).inputs)

    @public(cache="session")
    @check
    async def lint_locks(self) -> str:
        """Check that the locks match the matrix. `dagger check` runs it too."""
        return lint_locks((await self._session()).inputs)

    @public(cache="never", example="--format json")
    async def latest(self, format: args.LatestFormat = "text") -> str:
        """List newer versions of everything that is pinned, and what each would do to which cells.

        Reads the indexes of the sources; names an index that cannot be read, and guesses nothing for it.
        """
        from ci.updates.resolve import show_outdated  # not at the top: only these two functions load it

        return await show_outdated(await self._session(), format)

    @public(cache="never", example="--to ray=2.60.0 --format toml -o ci/matrix.toml")
    async def bump(self, to: args.To = None, format: args.BumpFormat = "text") -> str:
        """Put newer versions into the matrix: the given ones, or the newest of all that break no cell.

        Shows what would change; `--format toml` with `-o ci/matrix.toml` writes it. Comments are kept.
        """
        from ci.updates.resolve import show_bump

        return await show_bump(await self._session(), to or (), format)

    async def _session(self, **changes: None) -> Session:
        """Open a session with the options of this call, some of them unset by `changes`."""
        options = {field.name: getattr(self, field.name) for field in own_fields(CslrImages)}
        return await open_session(CallOptions(**{**options, **changes}))

    async def _builder(self, cuda: str, python: str, target: str) -> ImageBuilder:
        session = await self._session()
        plan = await session.plan(find_cell(session.matrix, cuda, python, target))
        return ImageBuilder(plan, session.context)
