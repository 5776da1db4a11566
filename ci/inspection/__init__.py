"""Inspect a finished image: run its checks, measure it, debug it."""
