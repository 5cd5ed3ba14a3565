"""Changes of a run while packets flow: plugins and filter are read, tried and compiled beside it, then swapped in."""
