"""Ethernet headers for frames of a packet ring that have none: those of tun, WireGuard, PPP and tunnels.

Plugins see what they see of a capture file (capture/framing.py): an Ethernet header without a destination, and with the
source address that the kernel tells where it has six bytes. The IP version says the ethertype where libpcap records
link type RAW; else the kernel does. A header of another kind, such as that of GRE, is left out.

The 14 bytes go in front of the network header. The kernel leaves at least 28 there, behind its own header of the frame,
and they depend on nothing that they overwrite: a worker that comes after one that was killed writes the same again.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import load_be16, load_be64, load_u8, load_u16
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.nic.link.hardware import ETHERNET, RAW_IP
from zcframe.framework.packet.walk import FIRST_ETHERTYPE, IPV4, IPV6
from zcframe.framework.sources.capture.framing import HEADER, cooked_ethertype, raw_ethertype, write_header
from zcframe.framework.sources.capture.linktype import RAW

from .tpacket import (
    FRAME_ADDRESS,
    FRAME_ADDRESS_SIZE,
    FRAME_HARDWARE,
    FRAME_MAC,
    FRAME_NETWORK,
    FRAME_PROTOCOL,
)

MAC_SIZE: Final = 6


@inlined
def has_ethernet(found):  # type: ignore[no-untyped-def]
    return load_u16(found + FRAME_HARDWARE) in ETHERNET


@inlined
def network_type(found, packet, length):  # type: ignore[no-untyped-def]
    """The ethertype of the packet of `length` captured bytes at address `packet`."""
    hardware, protocol = load_u16(found + FRAME_HARDWARE), load_be16(found + FRAME_PROTOCOL)
    told = protocol >= FIRST_ETHERTYPE and protocol != IPV4 and protocol != IPV6
    if hardware in RAW_IP and not told:
        return raw_ethertype(packet, length, RAW)
    return cooked_ethertype(protocol, hardware, length)


@inlined
def make_ethernet(found, captured):  # type: ignore[no-untyped-def]
    """Put an Ethernet header in front of the packet of the frame whose header is at `found`.

    captured: bytes of the frame that are there, a header of its own included. Returns (address of the Ethernet frame,
    bytes of the frame's own header).
    """
    own = min(load_u16(found + FRAME_NETWORK) - load_u16(found + FRAME_MAC), captured)
    packet = found + load_u16(found + FRAME_MAC) + own
    address = load_be64(found + FRAME_ADDRESS) >> 16 & 0xFFFFFFFFFFFF
    source = address if load_u8(found + FRAME_ADDRESS_SIZE) == MAC_SIZE else 0
    write_header(packet - HEADER, source, network_type(found, packet, captured - own))
    return packet - HEADER, own
