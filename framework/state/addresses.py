"""Addresses in state as people write them."""

from __future__ import annotations

import ipaddress
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAPPED = bytes(10) + b"\xff\xff"


def address_of(octets: bytes) -> Address:
    """The address of 16 bytes in the order of the network; one of IPv4 stands there as ::ffff:a.b.c.d."""
    if octets[:12] == MAPPED:
        return ipaddress.IPv4Address(octets[12:])
    return ipaddress.IPv6Address(octets)


def ip_text(high: Any, low: Any = None) -> str:
    """The address that a plugin stored: dotted for IPv4, else as RFC 5952 says.

    It is an addr of merged state, 16 bytes, or its halves (int or numpy u64).
    """
    if low is None:
        return str(address_of(bytes(high)))
    high, low = int(high) & (1 << 64) - 1, int(low) & (1 << 64) - 1
    return str(address_of((high << 64 | low).to_bytes(16, "big")))
