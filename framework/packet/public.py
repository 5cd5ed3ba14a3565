"""What plugins see of a packet, for people, editors and type checkers: `def filter(pkt: Packet, ...)`.

Compiled code has the same attributes: value.py makes them, and takes their names and texts from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, overload


class View(Protocol):
    """Bytes of a packet or of state: `view[i]`, `view[a:b]`, `view.u16(i)`, `len(view)`. Past its end it reads 0.

    A view is no copy. Bounds of a slice are those of Python, negative ones too. What a view is compared with, or looked
    through for, is another view or a bytes constant.
    """

    @overload
    def __getitem__(self, index: int, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> View: ...

    def __len__(self) -> int: ...

    def __bool__(self) -> bool: ...

    def __iter__(self) -> Iterator[int]: ...

    def __eq__(self, other: object, /) -> bool: ...

    def __contains__(self, wanted: View | bytes, /) -> bool: ...

    def u16(self, index: int, /) -> int:
        """Two bytes in the order of the network."""

    def u32(self, index: int, /) -> int:
        """Four bytes in the order of the network."""

    def u64(self, index: int, /) -> int:
        """Eight bytes in the order of the network, a pattern of 64 bits that may be negative."""

    def u16le(self, index: int, /) -> int:
        """Two bytes, the least significant one first."""

    def u32le(self, index: int, /) -> int:
        """Four bytes, the least significant one first."""

    def u64le(self, index: int, /) -> int:
        """Eight bytes, the least significant one first, a pattern of 64 bits that may be negative."""

    def find(self, wanted: View | bytes, start: int = 0, /) -> int:
        """Where these bytes begin, from `start` on; -1 where they are not."""

    def startswith(self, prefix: View | bytes, /) -> bool:
        """Whether it begins with these bytes."""

    def endswith(self, suffix: View | bytes, /) -> bool:
        """Whether it ends with these bytes."""


class Addr(Protocol):
    """An IP address: compares with `==` and `<`, is a key and a value of state; min() and max() tell two apart."""

    @property
    def hi(self) -> int:
        """upper 64 bits, a pattern that may be negative; 0 for IPv4"""

    @property
    def lo(self) -> int:
        """lower 64 bits, likewise; IPv4 as ::ffff:a.b.c.d"""

    def __lt__(self, other: Any, /) -> bool: ...

    def __le__(self, other: Any, /) -> bool: ...

    def __gt__(self, other: Any, /) -> bool: ...

    def __ge__(self, other: Any, /) -> bool: ...


class Packet(Protocol):
    """A packet. All attributes but views and addresses are whole numbers.

    `if packet:` is false only for what `inner` returns where there is no tunnel.
    """

    def inner(self) -> Packet:
        """The innermost IP packet, in up to 8 tunnels, with the same attributes; false where there is none.

        Time, lengths, hash, bucket, Ethernet addresses and VLANs of it are those of the frame.
        """

    def __bool__(self) -> bool: ...

    @property
    def ts(self) -> int:
        """time of arrival, ns since the epoch"""

    @property
    def caplen(self) -> int:
        """bytes captured in the block"""

    @property
    def wirelen(self) -> int:
        """length on the wire, without FCS"""

    @property
    def iface(self) -> int:
        """which of the source's interfaces brought it"""

    @property
    def rss_hash(self) -> int:
        """Toeplitz hash of the NIC, 0 where rss_type is 0"""

    @property
    def rss_type(self) -> int:
        """what was hashed: 0 nothing, 1 TCPv4, 2 IPv4, 3 TCPv6, 5 IPv6, 7 UDPv4, 8 UDPv6"""

    @property
    def bucket(self) -> int:
        """RETA entry, rss_hash & 127; 128 for a packet without hash"""

    @property
    def frame(self) -> View:
        """the whole frame as a view: frame[i], frame.u16(i), frame.u32(i), len(frame)"""

    @property
    def payload(self) -> View:
        """payload of the L4 header (of the IP header where L4 is unknown) as a view"""

    @property
    def payload_wirelen(self) -> int:
        """length of that payload on the wire, as IP tells it; len(pkt.payload) of it were captured"""

    @property
    def l3(self) -> View:
        """IP packet from its header on as a view; of what is not IP, from the last header that was found"""

    @property
    def l4(self) -> View:
        """L4 header and payload as a view; empty where no L4 header was found"""

    @property
    def eth_dst(self) -> int:
        """destination MAC, 48 bits"""

    @property
    def eth_src(self) -> int:
        """source MAC, 48 bits"""

    @property
    def ethertype(self) -> int:
        """ethertype of the IP header, or of the last header that could not be looked through"""

    @property
    def vlan_count(self) -> int:
        """VLAN tags behind the MAC addresses, stripped one included; not those behind other headers"""

    @property
    def vlan(self) -> int:
        """outermost VLAN id, 0 without a tag"""

    @property
    def vlan2(self) -> int:
        """second VLAN id, 0 without a second tag"""

    @property
    def ip_version(self) -> int:
        """4, 6, or 0 for what is not IP"""

    @property
    def proto(self) -> int:
        """IP protocol behind IPv6 extension headers and AH"""

    @property
    def ttl(self) -> int:
        """TTL or hop limit"""

    @property
    def src_hi(self) -> int:
        """upper 64 bits of the source address; 0 for IPv4"""

    @property
    def src_lo(self) -> int:
        """lower 64 bits of the source address; IPv4 as ::ffff:a.b.c.d"""

    @property
    def dst_hi(self) -> int:
        """upper 64 bits of the destination address; 0 for IPv4"""

    @property
    def dst_lo(self) -> int:
        """lower 64 bits of the destination address; IPv4 as ::ffff:a.b.c.d"""

    @property
    def src(self) -> Addr:
        """source address as one value; :: where there is none"""

    @property
    def dst(self) -> Addr:
        """destination address, likewise"""

    @property
    def sport(self) -> int:
        """source port of TCP, UDP, SCTP, DCCP, UDP-Lite; 0 in a later fragment"""

    @property
    def dport(self) -> int:
        """destination port, likewise"""

    @property
    def tcp_flags(self) -> int:
        """TCP flags, CWR (0x80) to FIN (0x01)"""

    @property
    def tcp_seq(self) -> int:
        """TCP sequence number"""

    @property
    def tcp_ack(self) -> int:
        """TCP acknowledgement number"""

    @property
    def tcp_window(self) -> int:
        """TCP window, unscaled"""

    @property
    def icmp(self) -> int:
        """ICMP or ICMPv6 type << 8 | code"""

    @property
    def is_fragment(self) -> int:
        """1 for any fragment of a larger packet, the first one included"""

    @property
    def is_later_fragment(self) -> int:
        """1 for a fragment that does not hold the L4 header"""

    @property
    def l4_len(self) -> int:
        """bytes captured from the L4 header on, 0 where no L4 header was found"""

    @property
    def tunnels(self) -> int:
        """tunnels that this packet is in: 0, but for what inner() returned"""
