"""What `zcframe.run` and its siblings raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zcframe.framework.errors import ZcframeError

if TYPE_CHECKING:
    from .result import Result


class RunError(ZcframeError):
    """A run that was refused, or that failed: the line that the command would have written on stderr.

    exit_code: that of the command: 1 failed, 2 wrong usage, 3 loss above max_loss. details: what -v would have shown.
    result: of what ran all the same, as after a damaged file; None where nothing did.
    """

    def __init__(self, message: str, exit_code: int = 1, *, details: str = "", result: Result | None = None) -> None:
        super().__init__(message, details=details)
        self.exit_code = exit_code
        self.result = result
