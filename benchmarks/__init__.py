"""Benchmarks: real cells, built on this machine, measured, written to BENCHMARKS.md."""
