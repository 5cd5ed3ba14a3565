"""Addresses in state as people write them."""

from __future__ import annotations

import ipaddress


def ip_text(high: int, low: int) -> str:
    """The address whose halves a plugin stored (int or numpy u64): dotted for IPv4, else as RFC 5952 says."""
    high, low = int(high) & (1 << 64) - 1, int(low) & (1 << 64) - 1
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(high << 64 | low))
