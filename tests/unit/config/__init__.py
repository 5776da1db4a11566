"""Tests of `ci.config`."""
