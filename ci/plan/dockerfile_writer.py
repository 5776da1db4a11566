"""Write a Dockerfile: its stages, the mounts of its steps, and the files beside it that steps read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ci.plan.caches import Cache
from ci.plan.programs import mounted_names, mounted_path
from ci.util.escape import escape_shell, escape_terminal

# Variables that point pip and uv at another package index.
INDEX_ARGUMENTS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_TRUSTED_HOST")
# Arguments of the steps that download; the bundle of the system also holds the CA of a site's proxy.
DOWNLOAD_ARGUMENTS = (
    *(f"ARG {name}" for name in INDEX_ARGUMENTS),
    "ARG PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
    "ARG SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
)


@dataclass
class DockerfileWriter:
    """A Dockerfile in `folder` of the build context; `paths_by_text` are files of the repository by their text.

    `written` are the names of the stages that are written already, by whoever needs them.
    """

    folder: str
    paths_by_text: Mapping[str, str]
    lines: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)

    def begin(self, name: str) -> bool:
        """Return True the first time that it is called for a name."""
        first = name not in self.written
        self.written.add(name)
        return first

    def stage(self, parent: str, name: str, *comments: str) -> None:
        """Begin a stage, with a line for each comment."""
        self.lines += ["", *(f"# {escape_terminal(line)}" for line in comments), f"FROM {parent} AS {name}"]

    def add(self, *lines: str) -> None:
        """Add instructions as they are."""
        self.lines += lines

    def add_download_arguments(self) -> None:
        """Declare the build arguments of steps that download."""
        self.add(*DOWNLOAD_ARGUMENTS)

    def run(self, mounts: Sequence[str], *commands: Sequence[str]) -> None:
        """Run commands in one step; one that is a text goes to the shell as it is."""
        texts = [command if isinstance(command, str) else escape_shell(command) for command in commands]
        body = " \\\n && ".join(texts)
        head = " ".join(["RUN", *(f"{mount} \\\n   " for mount in mounts)])
        self.lines.append(f"{head} {body}")

    def file(self, name: str, text: str) -> str:
        """Return the path, in the build context, of a file with a text; one that is not there is written beside."""
        if text in self.paths_by_text:
            return self.paths_by_text[text]
        self.beside[name] = text
        return f"{self.folder}/{name}"

    @staticmethod
    def cache(cache: Cache, distribution: str = "") -> str:
        """Return the mount of a cache."""
        return f"--mount=type=cache,id={cache.volume_name(distribution)},target={cache.path},sharing={cache.sharing}"

    @staticmethod
    def programs(*names: str) -> list[str]:
        """Return the mounts of programs, with all files that each needs; a folder is mounted as one."""
        paths = dict.fromkeys(path for name in names for path in mounted_names(name))
        return [DockerfileWriter.bind(f"ci/programs/{path}", mounted_path(path)) for path in paths]

    @staticmethod
    def bind(source: str, target: str) -> str:
        """Return the mount of a file of the build context."""
        return f"--mount=type=bind,source={source},target={target}"

    @staticmethod
    def bind_from(stage: str, source: str, target: str) -> str:
        """Return the mount of a folder of another stage."""
        return f"--mount=type=bind,from={stage},source={source},target={target}"
