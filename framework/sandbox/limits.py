"""Limits that a worker sets itself.

No limit on the size of files: it has none open for writing but stderr, which may be one, and where the interpreter's
last words go.
"""

from __future__ import annotations

import resource
from typing import Final

# A dump would hold frames of other queues; a worker makes neither processes nor threads.
NONE: Final = (resource.RLIMIT_CORE, resource.RLIMIT_NPROC)


def set_limits() -> None:
    """Lower them for good. Raises OSError or ValueError where the kernel refuses."""
    for which in NONE:
        resource.setrlimit(which, (0, 0))
