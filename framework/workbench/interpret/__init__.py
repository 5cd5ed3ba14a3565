"""A plugin's functions called as plain Python, a packet at a time: `print` and `breakpoint()` work in them."""

from .run import interpret, interpret_plugin

__all__ = ["interpret", "interpret_plugin"]
