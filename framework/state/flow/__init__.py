"""Flows as plugins declare them, and their rows in numpy."""
