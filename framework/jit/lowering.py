"""Where in a function's source numba is, for code that is built without being told."""

from __future__ import annotations

import inspect
from typing import Any, Final

from numba.core.callconv import PythonErrorModel, error_models
from numba.core.ir import Loc
from numba.core.lowering import BaseLower

# Option of numba's decorators: divisions by zero raise, as in Python.
LOCATED: Final = {"error_model": "located"}


def lowered_at() -> Loc | None:
    """The statement whose code is being built by a caller; None outside of that."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, BaseLower):
            return owner.loc
        frame = frame.f_back
    return None


class LocatedErrors(PythonErrorModel):  # type: ignore[misc]
    """numba's model of Python's errors, and the line of a division by zero, which numba leaves out."""

    def fp_zero_division(self, builder: Any, exc_args: Any = None, loc: Loc | None = None) -> bool:
        raises: bool = super().fp_zero_division(builder, exc_args, loc or lowered_at())
        return raises


error_models[LOCATED["error_model"]] = LocatedErrors
