"""Tests of `ci.plan`."""
