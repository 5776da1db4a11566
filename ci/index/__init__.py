"""Read what package indexes say: their pages, wheels and releases."""
