#!/usr/bin/env python
"""Serve the functions of an installed Dagger module; with `--register`, describe them to the engine instead."""

import sys

from dagger.mod import cli

if __name__ == "__main__":
    sys.exit(cli.app(register="--register" in sys.argv))
