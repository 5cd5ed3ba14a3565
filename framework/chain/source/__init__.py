"""What of an author's source text goes into compiled code, and what does not."""
