"""Objects with methods that stand in state: one kind a file, with what is compiled of it, its merge and its result."""
