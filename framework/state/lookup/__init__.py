"""Lists that compiled code looks things up in: read-only, built once, the same memory for all workers."""
