"""The module under the newest client of Dagger that PyPI holds; no engine."""
