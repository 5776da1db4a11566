"""How a check's container differs from an image that starts by itself."""

from ci.inspection.checks import Check
from ci.inspection.circumstances import (
    AS_ANY_USER,
    AS_IS,
    AS_ROOT,
    with_foreign_home,
    with_read_only_home,
    with_read_only_root,
)
from ci.plan.system import Account

ACCOUNT = Account(user="cslr", uid=1000, workdir="/workspace")
COMMAND = ("/opt/env/bin/python", "check.py")


def test_by_default_nothing_differs() -> None:
    assert AS_IS.wrap(COMMAND) == COMMAND
    assert (AS_IS.started_as, AS_IS.privileged, AS_IS.variables) == ("", False, ())


def test_users_are_numbers_because_not_all_have_names() -> None:
    users = [AS_ROOT, AS_ANY_USER, with_foreign_home(ACCOUNT)]
    assert [one.started_as for one in users] == ["0:0", "12345:0", "1000:1000"]
    assert not any(one.privileged for one in users)


def test_what_is_read_only_is_mounted_by_root_for_the_user() -> None:
    root, home = with_read_only_root(ACCOUNT), with_read_only_home(ACCOUNT)
    program = ("sh", "/run/cslr-images/checks/hold_read_only.sh")
    assert root.wrap(COMMAND) == (*program, "1000:1000", "/", *COMMAND)
    assert home.wrap(COMMAND) == (*program, "1000:1000", "/home/cslr", *COMMAND)
    for one in (root, home):
        assert (one.started_as, one.privileged) == ("0:0", True)
        assert dict(one.variables) == {"HOME": "/home/cslr"}, "as root, HOME would be root's"


def test_a_result_names_the_circumstances() -> None:
    assert Check(name="ray_task").title == "ray_task"
    assert Check(name="ray_task", circumstance=AS_ANY_USER).title == "ray_task as any user"
