"""Write a folder of links to the files of another: link_libraries.py FILES LINKS --at ../../nvidia

LINKS gets the folders of FILES, and in them a relative link for each file. `--at` is the path of FILES as it is used,
seen from the folder that LINKS lies in. So `site-packages/nvidia` leads to CUDA's libraries, which are beside the
folder of Python, and is a folder as pip and uv expect one: what they remove is a link, what they install is a file.
All links and folders get one time (SOURCE_DATE_EPOCH). Needs nothing but Python.
"""

# The loop here runs over thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH112, PTH114, PTH118

from __future__ import annotations

import argparse
import os
import sys

from common.errors import UserError, run_main
from common.files import source_date_epoch
from common.trees import TreeWriter


def link_files(files: str, links: str, at: str, epoch: int | None) -> TreeWriter:
    """Write the links to a new folder."""
    os.mkdir(links)  # noqa: PTH102
    writer = TreeWriter(links, epoch)
    for folder, folders, names in os.walk(files):
        below = os.path.relpath(folder, files)
        up = "../" * (1 if below == "." else below.count("/") + 2)
        inner = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in folders:
            if name not in inner:
                writer.add_folder(os.path.normpath(os.path.join(below, name)))
        for name in (*inner, *names):
            path = os.path.normpath(os.path.join(below, name))
            writer.add_link(path, f"{up}{at}/{path}", os.lstat(os.path.join(folder, name)))
    writer.finish()
    return writer


def work(options: argparse.Namespace) -> None:
    """Link, and print how many links there are."""
    if not os.path.isdir(options.files):
        raise UserError(f"no such folder: {options.files}")
    writer = link_files(options.files, options.links, options.at.rstrip("/"), source_date_epoch())
    print(f"{options.links}: {writer.files} links")


def main() -> int:
    """Link the files of a folder; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", metavar="FILES")
    parser.add_argument("links", metavar="LINKS")
    parser.add_argument("--at", required=True, metavar="PATH")
    options = parser.parse_args()
    os.umask(0o022)
    return run_main("link_libraries.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
