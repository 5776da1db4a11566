"""Tests of `ci.history`."""
