"""The Intel 82576 in software: a process that replays capture files into one descriptor ring a queue."""

from .plan import ReplayPlan
from .source import Position, Soft82576

__all__ = ["Position", "ReplayPlan", "Soft82576"]
