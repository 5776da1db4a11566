"""common/small_wheels.py: a wheel that pip installs, with a command, and removes whole."""

import subprocess
import sys
from pathlib import Path

from common.small_wheels import write_wheel


def test_pip_installs_the_wheel_and_removes_all_of_it(tmp_path: Path) -> None:
    files = {"small_package/__init__.py": "def main():\n    print('hello')\n"}
    wheel = write_wheel(tmp_path, "small-package", "2.0", files, {"say-hello": "small_package:main"})
    assert wheel.name == "small_package-2.0-py3-none-any.whl"
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    before = sorted(environment.rglob("*"))
    pip = [str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-index", "--no-compile", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    said = subprocess.run([environment / "bin/say-hello"], capture_output=True, text=True, check=True)
    assert said.stdout == "hello\n"
    subprocess.run([*pip, "uninstall", "--quiet", "-y", "small-package"], check=True)
    left = [path for path in environment.rglob("*") if "__pycache__" not in path.parts]
    assert sorted(left) == [path for path in before if "__pycache__" not in path.parts]
