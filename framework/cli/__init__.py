"""The command `zcframe`: a front and one module a subcommand. What a subcommand needs is imported when it runs."""

from .front import main

__all__ = ["main"]
