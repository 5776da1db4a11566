"""Provide what every package may use: errors for users, models of documents, units."""
