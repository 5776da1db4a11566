"""Collect what cells are built from, for sites without a network."""
