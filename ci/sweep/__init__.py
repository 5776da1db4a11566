"""Build many cells at once, record how each came out, and publish them."""
