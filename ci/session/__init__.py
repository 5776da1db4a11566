"""Open what one call works with: its options, the machine, the history, the index pages."""
