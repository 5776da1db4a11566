"""The user that images run as, in the slow layers at the bottom."""

import dagger

from ci.plan.specs import Account
from ci.stages.context import BuildContext


def add(context: BuildContext, container: dagger.Container, account: Account) -> dagger.Container:
    """Add the user and its working folder."""
    return context.run_program(container, "add_user.sh", (account.user, str(account.uid), account.workdir))
