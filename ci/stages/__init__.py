"""The stages: each takes a spec and what it stands on, and returns a lazy container or directory."""
