"""Capabilities of a file: the extended attribute that the kernel reads at execve (linux/capability.h, vfs_cap_data)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import Final

from zcframe.framework.capabilities import CAPABILITIES

ATTRIBUTE: Final = "security.capability"
REVISION_2: Final = 0x02000000
EFFECTIVE: Final = 1
# magic_etc, then twice permitted and inheritable, the lower 32 bits first.
LAYOUT: Final = struct.Struct("<5I")


def packed(names: Iterable[str]) -> bytes:
    """The attribute that makes these capabilities permitted and effective; `setcap` writes it as name,name+ep."""
    bits = sum(1 << CAPABILITIES[name] for name in names)
    return LAYOUT.pack(REVISION_2 | EFFECTIVE, bits & 0xFFFFFFFF, 0, bits >> 32, 0)


def stored(path: str | int) -> bytes:
    """The attribute of a file, b"" where it has none. In a user namespace the kernel shows it as revision 2, too."""
    try:
        return os.getxattr(path, ATTRIBUTE)
    except OSError:
        return b""


def store(path: str | int, names: Iterable[str]) -> None:
    """Raises OSError: CAP_SETFCAP is needed, and a file system with extended attributes."""
    os.setxattr(path, ATTRIBUTE, packed(names))
