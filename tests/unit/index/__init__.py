"""Tests of `ci.index`."""
