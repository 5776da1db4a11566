"""Write a tree of files in which every file and folder has the same time."""

# The loops that call this run over tens of thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH101, PTH103, PTH120, PTH123, PTH211

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field


def copy_contents(source: str, target: str) -> None:
    """Copy a file's bytes to a new file in the kernel, without reading them into this process."""
    with open(source, "rb", buffering=0) as reader, open(target, "xb", buffering=0) as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0 and (
                done := os.copy_file_range(reader.fileno(), writer.fileno(), min(left, 1 << 30))
            ):
                left -= done
        except OSError:  # not between these two file systems; sendfile goes on where it stopped
            pass
        while os.sendfile(writer.fileno(), reader.fileno(), None, 1 << 30):
            pass


@dataclass
class TreeWriter:
    """Write files below a folder, each with the time `epoch` in seconds, or with its source's time if that is None.

    Every file is new: it shares no bytes with its source, which may be a hard link into a package cache.
    """

    root: str
    epoch: int | None
    folders: set[str] = field(default_factory=set)
    files: int = 0
    size: int = 0

    def path(self, target: str) -> str:
        """Return the path of a target, whose parent folders then exist."""
        path = f"{self.root}/{target}"
        folder = os.path.dirname(path)
        if folder not in self.folders:
            os.makedirs(folder, exist_ok=True)
            while len(folder) > len(self.root) and folder not in self.folders:
                self.folders.add(folder)
                folder = os.path.dirname(folder)
        return path

    def add_folder(self, target: str) -> None:
        """Make a folder, which may stay empty."""
        path = self.path(target)
        os.makedirs(path, exist_ok=True)
        self.folders.add(path)

    def add_link(self, target: str, leads_to: str, status: os.stat_result) -> None:
        """Make a symbolic link."""
        path = self.path(target)
        os.symlink(leads_to, path)
        self._finish_file(path, status)

    def copy_file(self, source: str, target: str, status: os.stat_result) -> None:
        """Copy a file with its permissions; nothing of it is set-uid."""
        path = self.path(target)
        copy_contents(source, path)
        os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
        self.size += status.st_size
        self._finish_file(path, status)

    def write_file(self, target: str, data: bytes, status: os.stat_result) -> None:
        """Write bytes as a file with the permissions of another."""
        path = self.path(target)
        with open(path, "xb", buffering=0) as file:
            file.write(data)
        os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
        self.size += len(data)
        self._finish_file(path, status)

    def finish(self) -> None:
        """Set mode and time of all folders; last, because writing into a folder changes its time."""
        for folder in (*self.folders, self.root):
            os.chmod(folder, 0o755)  # noqa: S103 (a folder that all may read)
            if self.epoch is not None:
                os.utime(folder, (self.epoch, self.epoch))

    def _finish_file(self, path: str, status: os.stat_result) -> None:
        if self.epoch is None:
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
        else:
            os.utime(path, (self.epoch, self.epoch), follow_symlinks=False)
        self.files += 1
