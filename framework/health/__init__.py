"""Findings about live capture on this machine: what prevents it or slows it down, each with the command that mends it.

Nothing is changed, and nothing raised: a fact that the machine does not show is "none".
"""

from .check import Check, State
from .examine import examine
from .host import Host

__all__ = ["Check", "Host", "State", "examine"]
