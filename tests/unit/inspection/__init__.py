"""Tests of `ci.inspection`."""
