"""Tests of `ci.report`."""
