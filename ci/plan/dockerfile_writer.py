"""Write a Dockerfile: its stages, the mounts of its steps, and the files beside it that steps read."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ci.plan.caches import Cache
from ci.plan.programs import mounted_names, mounted_path

# Variables that point pip and uv at another package index.
INDEX_ARGUMENTS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_TRUSTED_HOST")
# Arguments of the steps that download; the bundle of the system also holds the CA of a site's proxy.
DOWNLOAD_ARGUMENTS = (
    f"ARG {' '.join(INDEX_ARGUMENTS)}",
    "ARG PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
)
# How a build argument is written: `${CUDA}`, or `${CUDA%.*}` without its last part.
_ARGUMENT = re.compile(r"\$\{([A-Z_]+)(?:%\.\*)?\}")


def quote_word(word: str) -> str:
    """Quote a word for a shell that replaces the build arguments in it.

    >>> quote_word("python=${PYTHON}.*"), quote_word("numpy>=2")
    ('"python=${PYTHON}.*"', "'numpy>=2'")
    """
    if not _ARGUMENT.search(word):
        return shlex.quote(word)
    text, at = "", 0
    for found in _ARGUMENT.finditer(word):
        text += _escape(word[at : found.start()]) + found[0]
        at = found.end()
    return f'"{text}{_escape(word[at:])}"'


def _escape(text: str) -> str:
    """Escape what a shell would read in double quotes."""
    return re.sub(r'(["\\`$])', r"\\\1", text)


def join_words(words: Sequence[str]) -> str:
    """Join the words of a command for a shell, which replaces the build arguments in them."""
    return " ".join(map(quote_word, words))


@dataclass
class DockerfileWriter:
    """A Dockerfile in `folder` of the build context; `paths_by_text` are files of the repository by their text.

    `written` are the names of the stages that are written already, by whoever needs them, `used` the build arguments
    that occur. A stage declares an argument before the first step that has it, unless the stage below it did: stages
    inherit what is declared.
    """

    folder: str
    paths_by_text: Mapping[str, str]
    lines: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    _declared: dict[str, set[str]] = field(default_factory=dict)
    _stage: str = ""

    def begin(self, name: str) -> bool:
        """Return True the first time that it is called for a name."""
        first = name not in self.written
        self.written.add(name)
        return first

    def stage(self, parent: str, name: str, *comments: str) -> None:
        """Begin a stage, with a line for each comment."""
        self.lines += ["", *(f"# {line}" for line in comments), f"FROM {parent} AS {name}"]
        self.used |= set(_ARGUMENT.findall(parent))
        self._stage = name
        self._declared[name] = set(self._declared.get(parent, ()))

    def add(self, *lines: str) -> None:
        """Add instructions as they are, and before them the build arguments that they have."""
        for line in lines:
            self._declare(*dict.fromkeys(_ARGUMENT.findall(line)))
            self.lines.append(line)

    def add_head(self, *lines: str) -> None:
        """Add lines before the first stage."""
        self.lines += lines

    def add_download_arguments(self) -> None:
        """Declare the build arguments of steps that download."""
        declared = self._declared[self._stage]
        if not declared.issuperset(INDEX_ARGUMENTS):
            declared.update(INDEX_ARGUMENTS)
            self.lines += DOWNLOAD_ARGUMENTS

    def _declare(self, *names: str) -> None:
        declared = self._declared[self._stage]
        if missing := [name for name in names if name not in declared]:
            self.lines.append(f"ARG {' '.join(missing)}")
            declared.update(missing)
            self.used.update(missing)

    def run(self, mounts: Sequence[str], *commands: Sequence[str]) -> None:
        """Run commands in one step; one that is a text goes to the shell as it is."""
        texts = [command if isinstance(command, str) else join_words(command) for command in commands]
        body = " \\\n && ".join(texts)
        head = " ".join(["RUN", *(f"{mount} \\\n   " for mount in mounts)])
        self.add(f"{head} {body}")

    def file(self, name: str, text: str) -> str:
        """Return the path, in the build context, of a file with a text; one that is not there is written beside."""
        assert not _ARGUMENT.search(text), f"{name}: arguments in a file, where nothing replaces them"
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
        """Return the mounts of programs, with all files that each needs; several of a folder are mounted as one."""
        files = dict.fromkeys(path for name in names for path in mounted_names(name))
        several = Counter(path.rpartition("/")[0] for path in files)
        folders = ((path.rpartition("/")[0], path) for path in files)
        paths = dict.fromkeys(folder if folder and several[folder] > 1 else path for folder, path in folders)
        return [DockerfileWriter.bind(f"ci/programs/{path}", mounted_path(path)) for path in paths]

    @staticmethod
    def bind(source: str, target: str) -> str:
        """Return the mount of a file of the build context."""
        return f"--mount=type=bind,source={source},target={target}"

    @staticmethod
    def bind_from(stage: str, source: str, target: str) -> str:
        """Return the mount of a folder of another stage."""
        return f"--mount=type=bind,from={stage},source={source},target={target}"
