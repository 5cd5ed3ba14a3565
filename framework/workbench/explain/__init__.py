"""`zcframe plugin explain`: what numba and LLVM made of a plugin's compiled functions."""

from .explained import Explained, explain

__all__ = ["Explained", "explain"]
