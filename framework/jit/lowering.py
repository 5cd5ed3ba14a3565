"""Where in a function's source numba is, for code that is built without being told."""

from __future__ import annotations

import inspect

from numba.core.ir import Loc
from numba.core.lowering import BaseLower


def lowered_at() -> Loc | None:
    """The statement whose code is being built by a caller; None outside of that."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, BaseLower):
            return owner.loc
        frame = frame.f_back
    return None
