"""The bundled trace: the project's own recording of real programs, made by tests/tools/trace."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from zcframe.framework.errors import CaptureFileError

FILE_NAME = "bundled.pcapng"


def bundled_trace() -> Path:
    """Path of the trace: pcapng, one Ethernet interface, times in ns. Raises CaptureFileError where it is missing."""
    trace = files(__package__) / FILE_NAME
    if not isinstance(trace, Path) or not trace.is_file():
        raise CaptureFileError(
            f"the bundled trace {FILE_NAME} is missing from this installation:"
            " install zcframe again, or name a capture with --read"
        )
    return trace
