"""Name the circumstances in which people run images, for the checks that count there, and how each comes about.

A check runs as the image starts by itself; some also run as another user, with a home folder of somebody else, or where
nothing can be written. What shells and sessions see is one check that starts them all (`checks/variables.py`).
"""

from ci.plan.programs import shell_command
from ci.plan.system import Account
from ci.util.model import FrozenModel

HOLD_PROGRAM = "checks/hold_read_only.sh"
FOREIGN_USER = "12345:0"  # as OpenShift starts containers: any number, group 0, no entry in /etc/passwd
FOREIGN_HOME = "/mnt/somebody"  # root's, so the image's user cannot write it


class Circumstance(FrozenModel):
    """What is different from an image that starts by itself.

    - `user` is who runs the check (`UID:GID`), empty for the image's own.
    - `variables` are set besides the image's.
    - `read_only` is a folder that cannot be written meanwhile, `/` for all but /tmp. That takes a privileged command.
    """

    name: str = ""
    user: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    read_only: str = ""

    @property
    def privileged(self) -> bool:
        """Return whether a command needs the rights to mount."""
        return bool(self.read_only)

    @property
    def started_as(self) -> str:
        """Return the user whom the container starts with, empty for the image's own."""
        return "0:0" if self.read_only else self.user

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs another one in these circumstances."""
        if not self.read_only:
            return command
        return (*shell_command(HOLD_PROGRAM, self.user, self.read_only), *command)


AS_IS = Circumstance()
AS_ROOT = Circumstance(name="as root", user="0:0")
AS_ANY_USER = Circumstance(name="as any user", user=FOREIGN_USER)


def with_foreign_home(account: Account) -> Circumstance:
    """Return what Apptainer and shared homes give the image's user: a home folder that it cannot write."""
    return Circumstance(
        name="with a home of somebody else", user=account.number, variables=(("HOME", FOREIGN_HOME),)
    )


def with_read_only_home(account: Account) -> Circumstance:
    """Return a home folder that is mounted read-only."""
    home = (("HOME", account.home),)
    return Circumstance(
        name="with a read-only home", user=account.number, variables=home, read_only=account.home
    )


def with_read_only_root(account: Account) -> Circumstance:
    """Return Kubernetes' `readOnlyRootFilesystem` with a volume at /tmp."""
    home = (("HOME", account.home),)
    return Circumstance(name="on a read-only root", user=account.number, variables=home, read_only="/")
