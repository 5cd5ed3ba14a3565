"""A ring for other programs: its memory, which the writer fills, and its door, by which readers come."""
