"""What keeps live capture from working here, or from being fast, each finding with the command that mends it.

Nothing is changed, and nothing raised: what a machine does not tell is "none".
"""

from .check import Check, State
from .examine import examine
from .host import Host

__all__ = ["Check", "Host", "State", "examine"]
