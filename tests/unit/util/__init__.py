"""Tests of `ci.util`."""
