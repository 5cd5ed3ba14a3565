"""Descriptor rings in shared memory."""

from .mapping import Mapping, make_memory, seal_writes
from .ring import Ring, RingEnd

__all__ = ["Mapping", "Ring", "RingEnd", "make_memory", "seal_writes"]
