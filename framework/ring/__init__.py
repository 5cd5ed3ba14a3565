"""Descriptor rings in shared memory."""

from .mapping import Mapping, make_memory, seal_writes
from .pulled import PulledRing
from .receive import ReceiveRing, Ring, RingEnd

__all__ = ["Mapping", "PulledRing", "ReceiveRing", "Ring", "RingEnd", "make_memory", "seal_writes"]
