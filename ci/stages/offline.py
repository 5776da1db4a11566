"""Build from a bundle in place of the network: each step gets the part that it needs mounted, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dagger
from dagger import ReturnType, dag

from ci.plan.externals import DEBS, ExternalInput, image_input
from ci.programs.make_bundle import BLOBS, Entry, Manifest
from ci.stages.texts import make_text_directory, make_text_file
from ci.util.errors import UserError

ROOT = "/run/bundle"
_SUMS = "/run/sums.txt"
_APT = "/run/apt"
# Variables that make pip and uv read one folder only, and apt one list only.
_PACKAGES = ("UV_OFFLINE", "UV_NO_INDEX", "UV_FIND_LINKS", "PIP_NO_INDEX", "PIP_FIND_LINKS")
_DEBS = ("APT_CONFIG",)


@dataclass(frozen=True)
class OfflineBundle:
    """A bundle: its manifest, and its folder."""

    manifest: Manifest
    tree: dagger.Directory

    def image(self, name: str) -> dagger.Container:
        """Return a base image out of its archive."""
        return dag.container().import_(self.file(image_input(name)))

    def file(self, external: ExternalInput) -> dagger.File:
        """Return the only file of an external input."""
        return self.tree.file(self.manifest.below(external.bundle_path)[0].blob)

    def subset(self, external: ExternalInput) -> dagger.Directory:
        """Return the part of the bundle that an external input needs: links, and the blobs that they point to."""
        blobs = dict.fromkeys(entry.blob for entry in self.manifest.below(external.bundle_path))
        return dag.directory().with_directory("/", self.tree, include=[f"{external.bundle_path}/**", *blobs])

    def mount(self, container: dagger.Container, external: ExternalInput) -> dagger.Container:
        """Mount that part."""
        return container.with_mounted_directory(ROOT, self.subset(external))

    def with_apt(
        self, container: dagger.Container, externals: Mapping[str, ExternalInput]
    ) -> dagger.Container:
        """Let apt find the stage's packages and nothing else; the manifest vouches for them, as no signature does."""
        external = externals[DEBS]
        source = f"deb [trusted=yes] file:{ROOT}/{external.bundle_path} ./\n"
        options = f'Dir::Etc::sourcelist "{_APT}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        given = make_text_directory({"sources.list": source, "apt.conf": options})
        container = container.with_mounted_directory(_APT, given)
        return self.mount(container.with_env_variable("APT_CONFIG", f"{_APT}/apt.conf"), external)

    def with_package_index(
        self, container: dagger.Container, externals: Mapping[str, ExternalInput], name: str
    ) -> dagger.Container:
        """Let pip and uv find the packages of one external input, and nothing else."""
        external = externals.get(name)
        if external is None:
            return container
        folder = f"{ROOT}/{external.bundle_path}"
        values = ("1", "1", folder, "1", folder)
        for variable, value in zip(_PACKAGES, values, strict=True):
            container = container.with_env_variable(variable, value)
        return self.mount(container, external)

    def with_mirror(
        self, container: dagger.Container, externals: Mapping[str, ExternalInput], name: str
    ) -> dagger.Container:
        """Let pip and uv find the packages of one external input: no mirror is needed."""
        return self.with_package_index(container, externals, name)

    def download(self, address: str, externals: Mapping[str, ExternalInput]) -> dagger.File:
        """Return a file by its address."""
        return self.file(externals[address])

    def bundled_file(self, externals: Mapping[str, ExternalInput], name: str) -> dagger.File | None:
        """Return the file of an external input, None if the stage has no such input."""
        return self.file(externals[name]) if name in externals else None

    def without_network(self, container: dagger.Container) -> dagger.Container:
        """Undo what the other methods mounted and set."""
        for name in (*_PACKAGES, *_DEBS):
            container = container.without_env_variable(name)
        for path in (ROOT, _APT):
            container = container.without_mount(path)
        return container

    async def check(self, externals: Iterable[ExternalInput], image_name: str) -> None:
        """Read every byte that external inputs take, once for the same bytes.

        Raises:
            UserError: something is missing or is not what the manifest says.
        """
        entries = {
            entry.blob: entry for external in externals for entry in self.manifest.below(external.bundle_path)
        }
        if not entries:
            return
        archive = self.manifest.below(image_input(image_name).bundle_path)[0]
        try:
            container = await self.image(image_name).sync()
        except dagger.QueryError:
            raise UserError(_describe_damage([archive])) from None
        sums = "".join(f"{entry.sha256}  {blob}\n" for blob, entry in sorted(entries.items()))
        given = make_text_file("sums.txt", sums)
        blobs = dag.directory().with_directory("/", self.tree, include=list(entries))
        container = container.with_mounted_directory(ROOT, blobs).with_mounted_file(_SUMS, given)
        # A damaged bundle is an answer: the same bytes give it again.
        ran = container.with_workdir(ROOT).with_exec(
            ["sha256sum", "--check", "--quiet", _SUMS], expect=ReturnType.ANY
        )
        if await ran.exit_code():
            bad = [
                line.split(": ")[0] for line in (await ran.stdout()).splitlines() if line.startswith(BLOBS)
            ]
            raise UserError(_describe_damage([entries[blob] for blob in bad if blob in entries] or [archive]))


def _describe_damage(entries: list[Entry]) -> str:
    first = entries[0]
    more = f", and {len(entries) - 1} more" if len(entries) > 1 else ""
    return (
        f"the bundle is damaged: {first.path} should be {first.size} bytes with SHA-256 {first.sha256}{more}; "
        "`daggerw bundle verify` lists all"
    )
