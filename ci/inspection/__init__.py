"""Look into a finished image: run its checks, measure it, debug it."""
