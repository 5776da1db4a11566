"""The embedded engine: a real Dagger engine for machines that have no container runtime. See README.md."""
