"""Take from wheels on the package index only the files that a test needs, by range requests of their archives.

What is taken of which wheel is in `tests/tools/nvcc.toml`, with a digest of the wheel's list of files (RECORD). That
list has the digest of each file.
"""

import base64
import csv
import hashlib
import io
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.stand_ins.cache import TOOLS, make_once

PINS = TOOLS / "nvcc.toml"
BLOCK = 4 * 2**20  # bytes of a request
# A stand-in for all of torch but its headers and torch.utils.cpp_extension, which are real.
STAND_INS = {
    "torch/utils/__init__.py": "",
    "torch/__init__.py": """\
from torch import version
from torch.version import __version__


class cuda:
    is_available = _is_compiled = staticmethod(lambda: True)


class xpu:
    _is_compiled = staticmethod(lambda: False)


class backends:
    class mps:
        is_built = staticmethod(lambda: False)
""",
}


class RemoteFile(io.RawIOBase):
    """A file behind an address, of which only the blocks that are read are requested."""

    def __init__(self, address: str) -> None:
        self.address, self.place = address, 0
        self.blocks: dict[int, bytes] = {}
        with urlopen(Request(address, method="HEAD")) as answer:  # noqa: S310 - from the package index
            self.size = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
        number, begin = divmod(self.place, BLOCK)
        part = self._block(number)[begin : begin + len(buffer)]
        buffer[: len(part)] = part
        self.place += len(part)
        return len(part)

    def _block(self, number: int) -> bytes:
        if number not in self.blocks:
            first, last = number * BLOCK, min((number + 1) * BLOCK, self.size) - 1
            request = Request(self.address, headers={"Range": f"bytes={first}-{last}"})  # noqa: S310
            with urlopen(request) as answer:  # noqa: S310
                if answer.status != 206:
                    raise OSError("the package index does not answer range requests")
                self.blocks[number] = answer.read()
        return self.blocks[number]


def find_addresses(names: Sequence[str]) -> dict[str, str]:
    """Ask uv, with the machine's own package index, where the wheels of pinned packages are."""
    command = [Path(sys.executable).parent / "uv", "pip", "compile", "--quiet", "--no-deps", "--no-header"]
    command += ["--format", "pylock.toml", "--python-version", "3.13"]
    command += ["--python-platform", "x86_64-manylinux_2_28", "-"]
    words = [str(word) for word in command]
    text = subprocess.run(words, input="\n".join(names), check=True, capture_output=True, text=True).stdout
    return {one["name"]: one["wheels"][0]["url"] for one in tomllib.loads(text)["packages"]}


def take_files(wheel: zipfile.ZipFile, pin: Mapping[str, Any], folder: Path) -> None:
    """Write the wanted files of a wheel; each must have the digest that the wheel's list gives."""
    names = wheel.namelist()
    record = wheel.read(next(name for name in names if name.endswith(".dist-info/RECORD")))
    if (found := hashlib.sha256(record).hexdigest()) != pin["record"]:
        raise ValueError(f"{pin['name']}: its list of files has the digest {found}, not {pin['record']}")
    digests = {row[0]: row[1] for row in csv.reader(io.StringIO(record.decode()))}
    for name in names:
        if name.endswith("/") or not any(fnmatchcase(name, pattern) for pattern in pin["take"]):
            continue
        content = wheel.read(name)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if digests[name] != f"sha256={digest}":
            raise ValueError(f"{pin['name']}: {name} is not what its list of files says")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if "/bin/" in name:
            target.chmod(0o755)


def nvcc_and_torch() -> Path:
    """Return a folder with nvcc and CUDA's headers, and torch's headers and what runs compilers, without libraries.

    It is enough to compile objects; nothing can be linked.
    """

    def take(folder: Path) -> None:
        for name, text in STAND_INS.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        pins = tomllib.loads(PINS.read_text("utf-8"))["wheels"]
        addresses = find_addresses([f"{pin['name']}=={pin['version']}" for pin in pins])
        for pin in pins:
            with zipfile.ZipFile(io.BufferedReader(RemoteFile(addresses[pin["name"]]), BLOCK)) as wheel:
                take_files(wheel, pin, folder)

    return make_once("nvcc", PINS.read_bytes() + json.dumps(STAND_INS).encode(), take)
