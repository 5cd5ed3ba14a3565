"""The supervisor: one run from its options to its result."""

from .plan import plan
from .supervisor import run

__all__ = ["plan", "run"]
