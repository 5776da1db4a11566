"""Read and check what can be built, and from where: the matrix, the sources, the locks."""
