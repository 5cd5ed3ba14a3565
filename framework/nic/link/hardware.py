"""Hardware types of interfaces (linux/if_arp.h): what the frames begin with that a packet socket is given.

Those without a header of their own come as libpcap has them: as link type RAW where nothing but IP can be in them, else
"cooked", where the kernel tells the protocol. (libpcap, pcap-linux.c, map_arphrd_to_dlt)
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.errors import LinkTypeError

ARPHRD_ETHER: Final = 1
ARPHRD_SLIP: Final = 256
ARPHRD_CSLIP: Final = 257
ARPHRD_SLIP6: Final = 258
ARPHRD_CSLIP6: Final = 259
ARPHRD_ADAPT: Final = 264
ARPHRD_CAN: Final = 280
ARPHRD_PPP: Final = 512
ARPHRD_RAWHDLC: Final = 518
ARPHRD_RAWIP: Final = 519
ARPHRD_TUNNEL: Final = 768
ARPHRD_TUNNEL6: Final = 769
ARPHRD_LOOPBACK: Final = 772
ARPHRD_SIT: Final = 776
ARPHRD_IPGRE: Final = 778
ARPHRD_IP6GRE: Final = 823
ARPHRD_NONE: Final = 0xFFFE

# Loopback's header holds zeros for addresses.
ETHERNET: Final = (ARPHRD_ETHER, ARPHRD_LOOPBACK)
# tun, WireGuard, ipip, sit, SLIP: the IP version is in the first byte.
RAW_IP: Final = (
    ARPHRD_NONE,
    ARPHRD_TUNNEL,
    ARPHRD_SIT,
    ARPHRD_SLIP,
    ARPHRD_CSLIP,
    ARPHRD_SLIP6,
    ARPHRD_CSLIP6,
    ARPHRD_ADAPT,
    ARPHRD_RAWHDLC,
)
COOKED: Final = (ARPHRD_PPP, ARPHRD_RAWIP, ARPHRD_TUNNEL6, ARPHRD_IPGRE, ARPHRD_IP6GRE)
LINK_TYPES: Final = (
    dict.fromkeys(ETHERNET, "ETHERNET") | dict.fromkeys(RAW_IP, "RAW") | dict.fromkeys(COOKED, "LINUX_SLL")
)

MONITOR: Final = "802.11 frames of monitor mode; capture from the interface in managed mode"
REFUSED: Final = {
    24: "IEEE 1394 frames",
    32: "InfiniBand frames; --iface any looks on at the IP packets of every interface",
    ARPHRD_CAN: "CAN frames, which hold no IP",
    801: MONITOR,
    802: MONITOR,
    803: MONITOR,
    804: "802.15.4 frames",
    805: "802.15.4 frames",
    824: "netlink messages, which are no packets",
    826: "vsock messages, which are no packets",
}


def link_type_of(ifname: str, hardware: int) -> str:
    """The link type, without its LINKTYPE_, of what comes from an interface of this type.

    ifname: for the message. Raises LinkTypeError where it can be captured from neither as Ethernet nor as IP.
    """
    if hardware in LINK_TYPES:
        return LINK_TYPES[hardware]
    raise LinkTypeError(f"{ifname} cannot be captured: {refusal_of(hardware)}")


def refusal_of(hardware: int) -> str:
    """What an interface of this type carries that is neither Ethernet nor IP."""
    carried = REFUSED.get(hardware, "neither Ethernet frames nor plain IP packets")
    return f"hardware type {hardware} (linux/if_arp.h) carries {carried}"
