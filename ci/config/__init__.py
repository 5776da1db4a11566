"""Read and check the documents that configure what is built: matrix, sources, locks."""
