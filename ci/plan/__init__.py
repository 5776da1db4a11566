"""Turn a cell into a plan: every stage with its inputs resolved and a reason."""
