"""The supervisor: one run from its options to its result."""

from .loop import run
from .prepare import plan

__all__ = ["plan", "run"]
