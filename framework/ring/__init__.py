"""Descriptor rings in shared memory."""

from .mapping import Mapping, make_memory, read_only, seal_writes
from .mirror import Mirror
from .pulled import PulledRing
from .puller import Puller
from .receive import ReceiveRing, Ring, RingEnd, SharedBuffer, ring_size, whole_pages
from .undo import Undo

__all__ = [
    "Mapping",
    "Mirror",
    "PulledRing",
    "Puller",
    "ReceiveRing",
    "Ring",
    "RingEnd",
    "SharedBuffer",
    "Undo",
    "make_memory",
    "read_only",
    "ring_size",
    "seal_writes",
    "whole_pages",
]
