"""A copy of the Python interpreter by which the members of one group capture without being root, as with dumpcap.

The capability is the copy's alone: the interpreter of the system, and with it every other user and program, has none.
Who may run the copy may run any Python program with it. What it is made of, and all that it imports, must therefore be
out of the reach of everybody else.
"""

from .copy import Copy
from .installation import Installation
from .trial import try_copy

__all__ = ["Copy", "Installation", "try_copy"]
