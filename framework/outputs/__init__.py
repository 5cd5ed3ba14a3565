"""What a run shows: a live view, a summary in text, or one JSON document."""
