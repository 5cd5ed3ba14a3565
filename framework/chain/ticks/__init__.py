"""`tick(state, now, params)` of plugins: when it is called, and in which transaction."""
