"""Write down what base images get from the system: Debian packages, the tools, the user."""

from collections.abc import Sequence

from ci.plan.caches import Cache, name_distribution
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.paths import TOOLS
from ci.plan.programs import shell_command
from ci.plan.stage import Spec

DEBS_PROGRAM = "install_debs.sh"
TOOLS_PROGRAM = "install_tools.sh"
USER_PROGRAM = "add_user.sh"
PROFILE_PROGRAM = "write_profile.sh"
# People get `copy-packages`, with which packages are copied out of an image.
COPY_PACKAGES = {"copy_packages.sh": "/usr/local/bin/copy-packages"}
# The files behind each, besides the programs.
DEBS_MODULES = ("plan/system.py", "stages/system.py")
TOOLS_MODULES = ("plan/system.py", "stages/tools.py")

# Programs that download Debian packages themselves need apt's lists, which no layer keeps.
UPDATE_LISTS = ("apt-get", "update", "-qq", "-o", "Acquire::Retries=3")
# Debian's own list of CAs: the bundle in /etc/ssl may also hold a site's proxy, which no image should trust.
COLLECT_AUTHORITIES = ("sh", "-c", "cat /usr/share/ca-certificates/mozilla/*.crt >/run/ca.pem")
# What a login sets by itself, for whoever logs in.
USER_VARIABLES = ("HOME", "USER", "LOGNAME")
EPOCH = 315_532_800  # 1980, the first year that a wheel can hold


class Account(Spec):
    """The user that images run as, and the working folder that belongs to it."""

    user: str
    uid: int
    workdir: str

    @property
    def home(self) -> str:
        """Return the user's home folder."""
        return f"/home/{self.user}"

    @property
    def number(self) -> str:
        """Return the user and its group as numbers: Kubernetes' `runAsNonRoot` takes no name."""
        return f"{self.uid}:{self.uid}"


def user_arguments(account: Account) -> tuple[str, ...]:
    """Return the arguments of the program that adds the user."""
    return (account.user, str(account.uid), account.workdir)


def profile_arguments(env: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the arguments of the program that gives login shells an image's variables: the names of all that are set
    by then, but those of one user.
    """
    return tuple(name for name, _ in env if name not in USER_VARIABLES)


def write_debs(writer: DockerfileWriter, image: str, packages: Sequence[str]) -> None:
    """Write the instruction that installs Debian packages; each distribution has caches of its own."""
    caches = [
        writer.cache(cache, name_distribution(image)) for cache in (Cache.APT_ARCHIVES, Cache.APT_LISTS)
    ]
    writer.run([*caches, *writer.programs(DEBS_PROGRAM)], shell_command(DEBS_PROGRAM, *packages))


def write_tools(writer: DockerfileWriter, requirements: str) -> None:
    """Write the instructions that install the tools from their lock."""
    writer.add_download_arguments()
    lock = "/run/tools.txt"
    mounts = [*writer.programs(TOOLS_PROGRAM), writer.bind(writer.file("tools.txt", requirements), lock)]
    writer.run(mounts, shell_command(TOOLS_PROGRAM, TOOLS, lock))


def write_user(writer: DockerfileWriter, account: Account) -> None:
    """Write the instruction that adds the user."""
    writer.run(writer.programs(USER_PROGRAM), shell_command(USER_PROGRAM, *user_arguments(account)))


def write_profile(writer: DockerfileWriter, env: Sequence[tuple[str, str]]) -> None:
    """Write the instruction that gives login shells an image's variables."""
    writer.run(writer.programs(PROFILE_PROGRAM), shell_command(PROFILE_PROGRAM, *profile_arguments(env)))
