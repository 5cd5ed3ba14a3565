"""What closes behind a process that works for the supervisor: memory, descriptors, limits, system calls."""

from .calls import HARMFUL, WRITING, Reach, reader_rules, worker_rules
from .seccomp import missing
from .walls import Walls

__all__ = ["HARMFUL", "WRITING", "Reach", "Walls", "missing", "reader_rules", "worker_rules"]
