"""Tests of `ci.session`."""
