"""Key, redirection table and hash fields of a NIC: read, set, and put back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ..rss import RssConfig
from .ethtool import NicError, ethtool

GRSSH, SRSSH = 0x46, 0x47
GRXFH, SRXFH = 0x29, 0x2A
# struct ethtool_rxfh: cmd, context, table and key sizes, hfunc, input_xfrm, reserved; then table and key.
RXFH = struct.Struct("=IIIIBB2xI")
# The head of struct ethtool_rxnfc: cmd, flow type, data.
RXNFC = struct.Struct("=IIQ")

FLOWS: Final = {"tcp4": 0x01, "udp4": 0x02, "tcp6": 0x05, "udp6": 0x06}
ADDRESSES: Final = 1 << 4 | 1 << 5
PORTS: Final = 1 << 6 | 1 << 7
FIELDS: Final = {"ip-pair": ADDRESSES, "5-tuple": ADDRESSES | PORTS}


@dataclass(frozen=True)
class RssSettings:
    """What a NIC spreads by. fields: RXH_* bits of each flow of FLOWS that the driver tells of."""

    key: bytes
    reta: tuple[int, ...]
    fields: tuple[tuple[str, int], ...]


def _read_table(ifname: str) -> tuple[bytes, tuple[int, ...]]:
    verb = "tell its RSS table"
    sizes = RXFH.unpack(ethtool(ifname, RXFH.pack(GRSSH, 0, 0, 0, 0, 0, 0), verb))
    entries, octets = sizes[2], sizes[3]
    request = RXFH.pack(GRSSH, 0, entries, octets, 0, 0, 0) + bytes(4 * entries + octets)
    answer = ethtool(ifname, request, verb)[RXFH.size :]
    return answer[4 * entries :], struct.unpack_from(f"={entries}I", answer)


def _read_fields(ifname: str, flow: str) -> int:
    answer = ethtool(ifname, RXNFC.pack(GRXFH, FLOWS[flow], 0), f"tell its hash fields for {flow}")
    return int(RXNFC.unpack(answer)[2])


def read_rss(ifname: str) -> RssSettings:
    """What the NIC does now. Raises NicError."""
    key, reta = _read_table(ifname)
    return RssSettings(key, reta, tuple((flow, _read_fields(ifname, flow)) for flow in FLOWS))


def write_rss(ifname: str, settings: RssSettings) -> None:
    """Have the NIC do this. Raises NicError."""
    table = struct.pack(f"={len(settings.reta)}I", *settings.reta)
    head = RXFH.pack(SRSSH, 0, len(settings.reta), len(settings.key), 0, 0, 0)
    ethtool(ifname, head + table + settings.key, "set its RSS key and table")
    for flow, bits in settings.fields:
        if _read_fields(ifname, flow) != bits:
            ethtool(ifname, RXNFC.pack(SRXFH, FLOWS[flow], bits), f"set its hash fields for {flow}")


class AppliedRss:
    """Settings in force on a NIC; `undo()` puts back those before, once."""

    def __init__(self, ifname: str, before: RssSettings) -> None:
        self._ifname, self._before = ifname, before
        self._undone = False

    def undo(self) -> None:
        if not self._undone:
            self._undone = True
            write_rss(self._ifname, self._before)


def _settings(config: RssConfig, before: RssSettings) -> RssSettings:
    """The configuration in a table as long as the NIC's."""
    times = -(-len(before.reta) // len(config.reta))
    reta = (config.reta * times)[: len(before.reta)]
    return RssSettings(config.key, reta, tuple((flow, FIELDS[config.fields]) for flow in FLOWS))


def apply_rss(ifname: str, config: RssConfig) -> AppliedRss:
    """Have the NIC spread as `config` says, read it back, and return how to undo it.

    Raises NicError where it cannot, or does something else; what was set by then is put back.
    """
    before = read_rss(ifname)
    applied, wanted = AppliedRss(ifname, before), _settings(config, before)
    try:
        write_rss(ifname, wanted)
        if read_rss(ifname) != wanted:
            raise NicError(f"{ifname} did not take the RSS settings: its driver kept others")
    except NicError:
        applied.undo()
        raise
    return applied
