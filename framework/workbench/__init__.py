"""For authors of plugins: runs of a plugin in one process, and what can be found out about it by such runs."""
