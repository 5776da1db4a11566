"""Build and run a Dagger engine on machines that have no container runtime. See README.md."""
