"""How a NIC spreads frames, by the settings that its driver reports, so that each frame can be compared with them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from zcframe.framework import abi
from zcframe.framework.errors import NicError, UnsupportedError
from zcframe.framework.nic.ethtool.rss import ADDRESSES, PORTS, TOEPLITZ, RssSettings, read_rss
from zcframe.framework.rss import FIELD_IP, FIELD_TCP, FIELD_UDP
from zcframe.framework.rss.spread import Spread

# Some drivers use the kernel's own key and report none. That one is a guess, which the first frames prove or refute.
SYSTEM_KEY: Final = Path("/proc/sys/net/core/netdev_rss_key")
TRANSPORTS: Final = {"tcp": FIELD_TCP, "udp": FIELD_UDP}


def system_key(path: Path = SYSTEM_KEY) -> bytes:
    """The key that the kernel gives drivers without a key of their own; empty where it is not known.

    The kernel makes it when the first driver asks; it reads as zeros until then.
    """
    try:
        key = bytes.fromhex(path.read_text().strip().replace(":", ""))
    except (OSError, ValueError):
        return b""
    return key if any(key) else b""


def field_mask_of(settings: RssSettings) -> int | None:
    """Mask of the FIELD_* that are hashed; None where IPv4 and IPv6 differ, or where no mask describes the fields."""
    mask, reported = FIELD_IP, dict(settings.fields)
    for transport, field in TRANSPORTS.items():
        found = {reported.get(f"{transport}{version}", ADDRESSES) for version in (4, 6)}
        if found == {ADDRESSES | PORTS}:
            mask |= field
        elif found != {ADDRESSES}:
            return None
    return mask


def _unknown(settings: RssSettings, key: bytes) -> str:
    """Why no frame can be compared with these settings; "" where nothing is in the way."""
    entries = len(settings.reta)
    if not entries or entries & (entries - 1):
        return f"its table has {entries} entries, and a power of two is needed"
    if settings.function not in (0, TOEPLITZ) or settings.transform:
        return "it does not hash by plain Toeplitz"
    if not settings.fields or field_mask_of(settings) is None:
        return "its driver does not tell its hash fields, or they are not the same for IPv4 and IPv6"
    if len(key) < abi.RSS_KEY_SIZE:
        return "neither its driver nor the kernel tells a key (before the first start of its driver: ip link set up)"
    return ""


def read_spread(ifname: str) -> Spread:
    """How the NIC spreads frames at this moment. Raises NicError where its driver does not report enough."""
    try:
        settings = read_rss(ifname)
    except UnsupportedError as error:
        raise NicError(f"--verify-rss: {error}") from error
    key = settings.key or system_key()
    if reason := _unknown(settings, key):
        raise NicError(f"--verify-rss: {ifname} cannot be verified: {reason}")
    mask = field_mask_of(settings)
    assert mask is not None
    return Spread(key[: abi.RSS_KEY_SIZE], mask, settings.reta)
