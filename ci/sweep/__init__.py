"""Build many cells at once, record the result of each, and publish the images."""
