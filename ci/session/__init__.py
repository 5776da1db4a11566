"""Read the inputs of one call: its options, the machine, the history and index pages."""
