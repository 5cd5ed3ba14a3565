"""What goes into the hash: key and header fields, and in what order the 82576 takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zcframe.framework import abi
from zcframe.framework.errors import UsageError

FIELD_IP: Final = 1
FIELD_TCP: Final = 2
FIELD_UDP: Final = 4

# "5-tuple" asks for UDP ports as well, which the 82576 hashes only where it is told to.
FIELD_MASKS: Final = {"ip-pair": FIELD_IP, "5-tuple": FIELD_IP | FIELD_TCP | FIELD_UDP}


def field_mask(fields: str) -> int:
    """Mask of FIELD_* for "ip-pair" or "5-tuple". Raises UsageError for any other name."""
    try:
        return FIELD_MASKS[fields]
    except KeyError:
        raise UsageError(f"--rss-fields {fields}: unknown; use one of {', '.join(FIELD_MASKS)}") from None


def check_key(key: bytes) -> bytes:
    """`key`, if it has 40 bytes. Raises UsageError."""
    if len(key) != abi.RSS_KEY_SIZE:
        raise UsageError(f"RSS key of {len(key)} bytes: {abi.RSS_KEY_SIZE} are needed")
    return key


@dataclass(frozen=True)
class HashType:
    """One kind of hash input: source address, destination address, then both ports if it has them (bytes)."""

    name: str
    rss_type: int
    address_size: int
    port_size: int

    @property
    def input_size(self) -> int:
        return 2 * (self.address_size + self.port_size)

    def mirrored(self, bit: int) -> int:
        """The input bit that carries in the other direction what `bit` carries in this one."""
        addresses = 16 * self.address_size
        half = 8 * (self.address_size if bit < addresses else self.port_size)
        start = 0 if bit < addresses else addresses
        return start + (bit - start + half) % (2 * half)


IPV4: Final = HashType("ipv4", abi.RSS_IPV4, 4, 0)
IPV6: Final = HashType("ipv6", abi.RSS_IPV6, 16, 0)
TCP_IPV4: Final = HashType("tcp-ipv4", abi.RSS_TCP_IPV4, 4, 2)
TCP_IPV6: Final = HashType("tcp-ipv6", abi.RSS_TCP_IPV6, 16, 2)
UDP_IPV4: Final = HashType("udp-ipv4", abi.RSS_UDP_IPV4, 4, 2)
UDP_IPV6: Final = HashType("udp-ipv6", abi.RSS_UDP_IPV6, 16, 2)

TYPE_NAMES: Final = {abi.RSS_NONE: "none"} | {
    kind.rss_type: kind.name for kind in (TCP_IPV4, IPV4, TCP_IPV6, IPV6, UDP_IPV4, UDP_IPV6)
}


def hash_types(fields: str) -> tuple[HashType, ...]:
    """Every hash type that can occur with `fields`. Raises UsageError for an unknown name."""
    mask = field_mask(fields)
    tcp = (TCP_IPV4, TCP_IPV6) if mask & FIELD_TCP else ()
    udp = (UDP_IPV4, UDP_IPV6) if mask & FIELD_UDP else ()
    return (IPV4, IPV6, *tcp, *udp)
