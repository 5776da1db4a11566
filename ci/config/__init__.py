"""Read and check the documents that say what is built, and from where: matrix, sources, locks."""
