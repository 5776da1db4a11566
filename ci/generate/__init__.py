"""Write the files that are made from the matrix: Dockerfiles, a bake file, CI files, the reference page."""
