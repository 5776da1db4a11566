"""Tests of `ci.generate`."""
