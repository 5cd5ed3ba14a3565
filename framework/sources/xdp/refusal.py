"""What goes wrong with AF_XDP, and what the kernel's numbers mean."""

from __future__ import annotations

import errno
import os


def name_of(number: int) -> str:
    """An error number as people look it up: "EBUSY, Device or resource busy"."""
    return f"{errno.errorcode.get(number, number)}, {os.strerror(number)}"
