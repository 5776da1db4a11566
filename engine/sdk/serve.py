#!/usr/bin/env python
"""Serve the installed module's functions; with `--register`, write their descriptions."""

import sys

from dagger.mod import cli

if __name__ == "__main__":
    sys.exit(cli.app(register="--register" in sys.argv))
