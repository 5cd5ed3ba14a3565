"""A plugin's filter run as the Python that it is: state is lists and dicts, packets are dpkt's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import dpkt

from zcframe.framework.packet.plain import Address, View
from zcframe.framework.state.kinds import Addr, Kind, Octets, Repeated, Scalar, text

MAPPED = bytes(10) + b"\xff\xff"


def stored(kind: Kind, value: Any) -> Any:
    """What a field of this kind holds once `value` was stored."""
    if isinstance(kind, Octets):
        octets = bytes(value)[: kind.limit]
        return View(octets.rstrip(b"\0") if isinstance(kind, text) else octets)
    if isinstance(kind, Scalar) and kind.is_whole:
        low = -(1 << 63) if kind.form == "i" else 0
        return (int(value) - low) % (1 << 8 * kind.size) + low
    return float(value) if isinstance(kind, Scalar) else value


def _first(kind: Kind) -> Any:
    if isinstance(kind, Repeated):
        return Several(kind.scalar, kind.count)
    if isinstance(kind, Addr):
        return Address(0)
    return View() if isinstance(kind, Octets) else 0


class Several(list[Any]):
    """An Array, or several numbers of a row."""

    def __init__(self, scalar: Kind, length: int) -> None:
        super().__init__([0] * length)
        self.scalar = scalar

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, stored(self.scalar, value))


class Row:
    """A row of a table. It is true, and `new` once."""

    def __init__(self, kinds: dict[str, Kind]) -> None:
        self.__dict__.update({name: _first(kind) for name, kind in kinds.items()}, new=True, kinds=kinds)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = stored(self.__dict__["kinds"][name], value)

    def values(self) -> list[Any]:
        return [plain(self.__dict__[name]) for name in self.__dict__["kinds"]]


def plain(value: Any) -> Any:
    if isinstance(value, View):
        return bytes(value)
    if isinstance(value, Address):
        return int(value)
    return list(value) if isinstance(value, list) else value


class Rows(dict[tuple[Any, ...], Row]):
    """A Table without a bound."""

    def __init__(self, key: dict[str, Kind], value: dict[str, Kind]) -> None:
        super().__init__()
        self.key, self.value = key, value

    def _key(self, words: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(plain(stored(kind, word)) for kind, word in zip(self.key.values(), words, strict=True))

    spot = _key

    def find(self, *words: Any) -> Row | None:
        row = self.get(self._key(words))
        if row is not None:
            row.__dict__["new"] = False
        return row

    def upsert(self, *words: Any) -> Row:
        return self.find(*words) or self.setdefault(self._key(words), Row(self.value))

    def delete(self, *words: Any) -> bool:
        return self.pop(self._key(words), None) is not None

    def rows(self) -> list[list[Any]]:
        return sorted([*key, *row.values()] for key, row in self.items())


class Packet:
    """What dpkt makes of an Ethernet frame with TCP or UDP in IP."""

    def __init__(self, data: bytes, ts: int = 0) -> None:
        ip = dpkt.ethernet.Ethernet(data).data
        self.ts, self.wirelen = ts, len(data)
        self.src, self.dst = (
            Address(int.from_bytes(end if len(end) == 16 else MAPPED + end, "big")) for end in (ip.src, ip.dst)
        )
        self.sport, self.dport = ip.data.sport, ip.data.dport
        self.payload = View(bytes(ip.data.data))
        self.payload_wirelen = len(self.payload)
        self.l4 = View(bytes(ip.data))
        self.l3 = View(bytes(ip))


def has_ports(data: bytes) -> bool:
    """Whether the plain run knows a frame: TCP or UDP in IP, whole, in no fragment."""
    try:
        ip = dpkt.ethernet.Ethernet(data).data
        whole = isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) and isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP)
        return bool(whole and bytes(ip) == data[14 : 14 + len(bytes(ip))])
    except (dpkt.UnpackError, ValueError):
        return False


def state_of(declared: Any) -> Any:
    """An empty state. declared: members by name."""
    made = {}
    for name, member in declared.items():
        made[name] = (
            Several(member.scalar, member.length) if hasattr(member, "scalar") else Rows(member.key, member.value)
        )
    return type("State", (), made)()


def run_plainly(cls: Any, packets: Iterable[Packet]) -> Any:
    """The state behind these packets."""
    plugin = cls.__zcframe__
    state = state_of(plugin.state)
    run: Callable[..., Any] = plugin.filter
    for packet in packets:
        run(packet, state, None)
    return state
