"""A worker gives up the identity and the capabilities of root, which it does not need.

It holds a mapped ring, and memory of the run. A fault in one of its plugins can then harm these, and nothing else.
"""

from __future__ import annotations

import os
from typing import Final

from zcframe.framework.child import prctl

NOBODY: Final = 65534
PR_SET_NO_NEW_PRIVS: Final = 38


def drop_privileges() -> None:
    """Become the user nobody, for good; a process that is not root drops nothing. Raises OSError where that fails."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    # Leaving uid 0 clears every capability.
    os.setresuid(NOBODY, NOBODY, NOBODY)
    if number := prctl(PR_SET_NO_NEW_PRIVS, 1):
        raise OSError(number, "no_new_privs")
