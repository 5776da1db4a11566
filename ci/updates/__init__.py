"""Find newer versions of what is pinned, and decide what each would do to the cells."""
