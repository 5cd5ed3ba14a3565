"""Facts about an interface, gathered from several settings: symmetry, spread, status, shared rings."""
