"""Reads and sets the RSS key, the redirection table and the hash fields of a NIC."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from zcframe.framework.errors import NicError, UnsupportedError
from zcframe.framework.rss import RssConfig

from .ioctl import ethtool

GRSSH, SRSSH = 0x46, 0x47
GRXFH, SRXFH = 0x29, 0x2A
# struct ethtool_rxfh: cmd, context, table and key sizes, hfunc, input_xfrm (6.8), reserved; then table and key.
RXFH = struct.Struct("=IIIIBB2xI")
# The head of struct ethtool_rxnfc: cmd, flow type, data.
RXNFC = struct.Struct("=IIQ")

FLOWS: Final = {"tcp4": 0x01, "udp4": 0x02, "tcp6": 0x05, "udp6": 0x06}
ADDRESSES: Final = 1 << 4 | 1 << 5
PORTS: Final = 1 << 6 | 1 << 7
FIELDS: Final = {"ip-pair": ADDRESSES, "5-tuple": ADDRESSES | PORTS}

# ETH_RSS_HASH_*, RXH_XFRM_*, ETH_RXFH_INDIR_NO_CHANGE.
TOEPLITZ: Final = 1
FUNCTIONS: Final = {TOEPLITZ: "toeplitz", 2: "xor", 4: "crc32"}
TRANSFORMS: Final = {0: "none", 1: "symmetric-xor", 2: "symmetric-or-xor"}
KEEP_FUNCTION: Final = 0
KEEP_TABLE: Final = 0xFFFFFFFF


@dataclass(frozen=True)
class RssSettings:
    """The RSS settings of a NIC; key, reta and fields are empty where its driver does not report them.

    fields: RXH_* bits of each flow of FLOWS that the driver reports. function: a number of FUNCTIONS. transform: a
    number of TRANSFORMS; the NIC changes a packet's fields so before it hashes them.
    """

    key: bytes
    reta: tuple[int, ...]
    fields: tuple[tuple[str, int], ...]
    function: int = TOEPLITZ
    transform: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RssSettings:
        """The settings that a `document()` describes."""
        key, reta, fields = bytes.fromhex(document["key"]), tuple(document["reta"]), tuple(document["fields"].items())
        return cls(key, reta, fields, document["function"], document["transform"])

    def document(self) -> dict[str, Any]:
        """For JSON: key in hex, table, bits of the fields by flow, numbers of function and transform."""
        return {
            "key": self.key.hex(),
            "reta": list(self.reta),
            "fields": dict(self.fields),
            "function": self.function,
            "transform": self.transform,
        }

    def with_key(self, key: bytes, ifname: str) -> RssSettings:
        """The same settings with a key, repeated where the NIC's is longer. Raises NicError where it does not fit."""
        if not self.key:
            raise NicError(f"the driver of {ifname} takes no RSS key (igb takes one from kernels of mid-2026 on only)")
        if len(self.key) < len(key):
            raise NicError(f"{ifname} takes RSS keys of {len(self.key)} bytes, not of {len(key)}")
        return replace(self, key=_repeated(key, len(self.key)))

    def with_reta(self, queues: Sequence[int], ifname: str) -> RssSettings:
        """The same settings with these queues, in turn, in the table. Raises NicError where the NIC has no table."""
        if not self.reta:
            raise NicError(f"the driver of {ifname} has no RSS table that could be set")
        return replace(self, reta=_repeated(tuple(queues), len(self.reta)))

    def with_fields(self, fields: str, ifname: str) -> RssSettings:
        """The same settings with "ip-pair" or "5-tuple" for every flow. Raises NicError where no flow is reported."""
        if not self.fields:
            raise NicError(f"the driver of {ifname} lets nobody choose its hash fields")
        return replace(self, fields=tuple((flow, FIELDS[fields]) for flow, _ in self.fields))


def _repeated(items: Any, length: int) -> Any:
    return (items * -(-length // len(items)))[:length]


def _read_head(ifname: str) -> tuple[bytes, tuple[int, ...], int, int]:
    """(key, table, function, transform)"""
    verb = "tell its RSS table"
    sizes = RXFH.unpack(ethtool(ifname, RXFH.pack(GRSSH, 0, 0, 0, 0, 0, 0), verb))
    entries, octets = sizes[2], sizes[3]
    request = RXFH.pack(GRSSH, 0, entries, octets, 0, 0, 0) + bytes(4 * entries + octets)
    answer = ethtool(ifname, request, verb)
    function, transform = RXFH.unpack_from(answer)[4:6]
    reta = struct.unpack_from(f"={entries}I", answer, RXFH.size)
    return answer[RXFH.size + 4 * entries :], reta, function, transform


def _read_fields(ifname: str, flow: str) -> int:
    answer = ethtool(ifname, RXNFC.pack(GRXFH, FLOWS[flow], 0), f"tell its hash fields for {flow}")
    return int(RXNFC.unpack(answer)[2])


def _read_all_fields(ifname: str) -> tuple[tuple[str, int], ...]:
    """Hash fields of every flow that the driver reports."""
    try:
        return tuple((flow, _read_fields(ifname, flow)) for flow in FLOWS)
    except UnsupportedError:
        return ()


def read_rss(ifname: str) -> RssSettings:
    """RSS settings of the NIC at this moment. Raises NicError."""
    key, reta, function, transform = _read_head(ifname)
    return RssSettings(key, reta, _read_all_fields(ifname), function, transform)


def write_rss(ifname: str, settings: RssSettings) -> None:
    """Give the NIC these settings; a setting that it has already is not written.

    Raises NicError where the NIC cannot take them, or keeps others.
    """
    before = read_rss(ifname)
    if replace(before, fields=settings.fields) != settings:
        table = struct.pack(f"={len(settings.reta)}I", *settings.reta)
        # No table at all would mean: the default one.
        entries = len(settings.reta) or KEEP_TABLE
        function = KEEP_FUNCTION if settings.function == before.function else settings.function
        head = RXFH.pack(SRSSH, 0, entries, len(settings.key), function, settings.transform, 0)
        ethtool(ifname, head + table + settings.key, "set its RSS key and table")
    for flow, bits in settings.fields:
        if dict(before.fields).get(flow) != bits:
            ethtool(ifname, RXNFC.pack(SRXFH, FLOWS[flow], bits), f"set its hash fields for {flow}")
    if read_rss(ifname) != settings:
        raise NicError(f"{ifname} did not take the RSS settings: its driver kept others")


def settings_of(config: RssConfig, before: RssSettings, ifname: str) -> RssSettings:
    """The configuration as the NIC takes it: in a table as long as its own. Raises NicError where it cannot."""
    wanted = before.with_key(config.key, ifname).with_reta(config.reta, ifname).with_fields(config.fields, ifname)
    # A driver that does not report its hash function is not asked for one.
    return replace(wanted, function=before.function and TOEPLITZ, transform=0)


def hashes_by(ifname: str, config: RssConfig) -> bool:
    """Whether the NIC's hashes are those of `config`, whatever queues they lead to; False where it does not say."""
    try:
        now = read_rss(ifname)
        wanted = settings_of(config, now, ifname)
    except NicError:
        return False
    return now.function == TOEPLITZ and replace(wanted, reta=now.reta) == now
