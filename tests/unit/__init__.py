"""Unit tests of the pure core: no engine, no network."""
