"""The kinds of output that zcframe brings along, found by their entry points."""
