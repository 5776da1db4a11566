"""Read package indexes: pages, wheels, projects, and a cache of responses."""
