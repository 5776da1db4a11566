"""Build stages with Dagger: each takes its spec and the stages below it, and returns a lazy container or directory."""
