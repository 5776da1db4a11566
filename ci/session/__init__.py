"""Read what one call of the module needs: its options, the machine, the history and index pages."""
