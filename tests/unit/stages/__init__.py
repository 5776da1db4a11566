"""Tests of `ci.stages`."""
