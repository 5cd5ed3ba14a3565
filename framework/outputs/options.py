"""Parsers of the options of an output. Each raises ValueError with what is needed."""

from __future__ import annotations

import pwd
import re
from typing import Final

from zcframe.framework.config import kept_packets, octets, shed_mode

DRAIN: Final = "drain"
DROP: Final = "drop"
UNITS: Final = {"": 1_000_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a whole number from 1 on is needed")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise ValueError("a whole number from 0 on is needed")
    return int(text)


def size(text: str) -> int:
    """Bytes: so many millions, as with tcpdump's -C, or with K, M or G behind the number."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not found or not int(found[1]):
        raise ValueError("a number of millions of bytes is needed, or one with K, M or G behind it")
    return int(found[1]) * UNITS[found[2]]


def shed(text: str) -> str:
    """Which flows are shed."""
    return shed_mode(text)


def keep(text: str) -> int:
    """Packets of a flow that is shed which go on all the same."""
    return kept_packets(text)


def shunt(text: str) -> int:
    """Bytes of a flow that go on."""
    return octets(text)


def user(text: str) -> str:
    """Name of a user of this machine."""
    try:
        return pwd.getpwnam(text).pw_name
    except KeyError:
        raise ValueError("there is no such user") from None


def on_dead(value: str) -> str:
    """What becomes of the flows of a share that nobody reads."""
    if value not in (DRAIN, DROP):
        raise ValueError(f"{DRAIN} or {DROP} is needed")
    return value


def text(value: str) -> str:
    if not value:
        raise ValueError("it is empty")
    return value
