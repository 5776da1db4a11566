"""Tests of `ci.sweep`."""
