"""add_user.sh on real user tables: the folders belong to the user, and group 0 may write them."""

from pathlib import Path

from tests.programs.image_system import needs_root, run_apart

pytestmark = needs_root

ADD = "sh /run/programs/add_user.sh learner 4321 /home/desk"


def test_the_user_and_group_0_can_write_home_and_working_folder(tmp_path: Path) -> None:
    look = "stat -c '%u:%g %a %n' /home/learner /home/desk /home/learner/.bashrc"
    write = "touch /home/learner/$u /home/desk/$u"
    users = "4321:4321 12345:0"
    script = f"""{ADD}; {look}
    for u in {users}; do setpriv --reuid ${{u%:*}} --regid ${{u#*:}} --clear-groups sh -c "u=$u; {write}"; done
    getent passwd learner"""
    done = run_apart(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "4321:0 775 /home/learner",
        "4321:0 775 /home/desk",
        "4321:0 664 /home/learner/.bashrc",
        "learner:x:4321:4321::/home/learner:/bin/bash",
    ]


def test_somebody_else_cannot_write(tmp_path: Path) -> None:
    other = "setpriv --reuid 12345 --regid 12345 --clear-groups touch /home/learner/mine"
    assert "Permission denied" in run_apart(tmp_path, f"{ADD}; {other}").stderr


def test_a_user_with_that_number_makes_room(tmp_path: Path) -> None:
    script = f"useradd --uid 4321 --create-home before; {ADD}; getent passwd 4321; ls /home"
    done = run_apart(tmp_path, script)
    assert done.stdout.splitlines() == ["learner:x:4321:4321::/home/learner:/bin/bash", "desk", "learner"]
