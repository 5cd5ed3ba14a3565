"""Layout of a TPACKET_V3 ring: offsets and bits of linux/if_packet.h, in machine byte order.

A ring is a row of blocks. Block `sequence`, counted from 1, stands at index (sequence - 1) modulo the number of blocks.
The kernel fills a block, hands it over by its status, and comes back to it only when the status was put back.
"""

from __future__ import annotations

from typing import Final

# struct tpacket_block_desc with its tpacket_hdr_v1
BLOCK_STATUS: Final = 8
BLOCK_FRAMES: Final = 12
BLOCK_FIRST: Final = 16
BLOCK_SEQUENCE: Final = 24

STATUS_KERNEL: Final = 0
STATUS_USER: Final = 1

# struct tpacket3_hdr with its tpacket_hdr_variant1
FRAME_NEXT: Final = 0
FRAME_SECONDS: Final = 4
FRAME_NANOSECONDS: Final = 8
FRAME_CAPTURED: Final = 12
FRAME_LENGTH: Final = 16
FRAME_STATUS: Final = 20
FRAME_MAC: Final = 24
FRAME_NETWORK: Final = 26
FRAME_VLAN_TCI: Final = 32
FRAME_VLAN_TPID: Final = 36

FRAME_VLAN_VALID: Final = 1 << 4
FRAME_TPID_VALID: Final = 1 << 6

# struct sockaddr_ll behind it. The protocol is in network byte order, the hardware type is not.
FRAME_PROTOCOL: Final = 50
FRAME_HARDWARE: Final = 56
FRAME_ADDRESS_SIZE: Final = 59
FRAME_ADDRESS: Final = 60

# Bytes of a VLAN tag on the wire, which the kernel takes off.
TAG_SIZE: Final = 4
