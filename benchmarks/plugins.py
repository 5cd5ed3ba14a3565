"""Small plugins that fill up the chain of eight, and one that only counts."""

from __future__ import annotations

from zcframe import PASS, Array, plugin, u64


@plugin(per="worker")
class Packets:
    """Packets."""

    packets = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        return PASS


@plugin
class Protocols:
    """Packets by IP protocol."""

    protocols = Array(u64, 256)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.protocols[pkt.proto] += 1
        return PASS


@plugin(per="worker")
class Ports:
    """Bytes by destination port."""

    ports = Array(u64, 65536)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.ports[pkt.dport] += pkt.wirelen
        return PASS


@plugin
class Hops:
    """Packets by TTL or hop limit."""

    hops = Array(u64, 256)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.hops[pkt.ttl] += 1
        return PASS
