"""Capture files that are read by all CPUs at once, a window at a time: docs/decisions/windows.md."""
