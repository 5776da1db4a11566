"""Tests of `ci.updates`."""
