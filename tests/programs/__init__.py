"""Tests of the programs that run inside containers, run here for real."""
