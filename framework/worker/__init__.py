"""Worker processes: one a queue."""
