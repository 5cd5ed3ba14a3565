"""Names of ethertypes, for people."""

from __future__ import annotations

from typing import Final

# A frame too short for an ethertype, and a record whose protocol has none.
NONE: Final = 0
UNKNOWN: Final = 0xFFFF
FIRST: Final = 0x0600
LENGTH: Final = "802.3"

NAMES: Final = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x0842: "Wake-on-LAN",
    0x2000: "CDP",
    0x22EA: "MSRP",
    0x22F0: "AVTP",
    0x22F3: "TRILL",
    0x22F4: "IS-IS",
    0x4305: "B.A.T.M.A.N.",
    0x6002: "DEC MOP",
    0x6003: "DECnet",
    0x6558: "bridged Ethernet",
    0x8035: "RARP",
    0x809B: "AppleTalk",
    0x80F3: "AARP",
    0x8100: "VLAN",
    0x8137: "IPX",
    0x86DD: "IPv6",
    0x8808: "pause",
    0x8809: "LACP and slow protocols",
    0x8847: "MPLS",
    0x8848: "MPLS upstream",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE session",
    0x8870: "LLC",
    0x887B: "HomePlug",
    0x888E: "802.1X",
    0x8892: "PROFINET",
    0x88A2: "AoE",
    0x88A4: "EtherCAT",
    0x88A8: "802.1ad",
    0x88B8: "GOOSE",
    0x88BA: "sampled values",
    0x88CC: "LLDP",
    0x88D9: "LLTD",
    0x88E1: "HomePlug AV",
    0x88E5: "MACsec",
    0x88E7: "802.1ah",
    0x88F5: "MVRP",
    0x88F7: "PTP",
    0x88FB: "PRP",
    0x8902: "CFM",
    0x8903: "FabricPath",
    0x8906: "FCoE",
    0x8914: "FIP",
    0x8915: "RoCE",
    0x8926: "VN-tag",
    0x892F: "HSR",
    0x893F: "E-TAG",
    0x894F: "NSH",
    0x9000: "loopback",
}


def ethertype_key(ethertype: int) -> str:
    """As documents write it: "0x0806"; "802.3" for every length in its place, "none" for a frame without one."""
    if ethertype in (NONE, UNKNOWN):
        return "none"
    return LENGTH if ethertype < FIRST else f"0x{ethertype:04x}"


def ethertype_name(key: str) -> str:
    """What people call an ethertype of this key: the key itself where they have no name for it."""
    return f"{NAMES[int(key, 16)]} ({key})" if key.startswith("0x") and int(key, 16) in NAMES else key
