"""Text for people: the live view, summaries, tables. Facts come from the other rooms."""
