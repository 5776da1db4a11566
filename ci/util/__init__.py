"""Errors for users, models of data, and units: what every package may use."""
