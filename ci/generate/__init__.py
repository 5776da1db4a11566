"""Render the files that are generated from the matrix and committed."""
