"""What a worker does not need: the identity and the capabilities of root.

It holds a mapped ring, and memory of the run. Whatever goes wrong in its plugins can then harm these, and nothing else.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

NOBODY: Final = 65534
PR_SET_NO_NEW_PRIVS: Final = 38


def drop_privileges() -> None:
    """Become nobody, for good; a process that is not root has nothing to drop. Raises OSError where that fails."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    # Leaving uid 0 clears every capability.
    os.setresuid(NOBODY, NOBODY, NOBODY)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
