"""Tests of `ci.sdk`."""
