"""Write wheels of a few files, to try installers with them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], commands: Mapping[str, str] | None = None
) -> Path:
    """Write a pure wheel (PEP 427) into a folder and return its path.

    Args:
        folder: where the wheel is written.
        name: the distribution's name.
        version: its version.
        files: the texts of its files, by path below site-packages.
        commands: what its commands call, by name: `{"greet": "package:main"}`.
    """
    base = f"{name.replace('-', '_')}-{version}"
    info = f"{base}.dist-info"
    texts = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: check\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if commands:
        lines = [f"{command} = {target}\n" for command, target in commands.items()]
        texts[f"{info}/entry_points.txt"] = f"[console_scripts]\n{''.join(lines)}"
    record = f"{info}/RECORD"
    texts[record] = "".join(f"{path},,\n" for path in (*texts, record))
    wheel = folder / f"{base}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)
    return wheel
