"""Adapt the module to the versions of Dagger's Python SDK."""
