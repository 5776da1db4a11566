"""Collect everything that cells are built from, for sites without a network."""
