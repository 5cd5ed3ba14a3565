"""Workers and readers that turned hostile: they can harm nobody but themselves, on every source."""
