"""Plugins that tell all that the table of flows tells a filter, packet by packet or flow by flow."""

from __future__ import annotations

from zcframe import PASS, Flows, Param, Table, addr, blob, plugin, u8, u16, u64

LIMIT = 64
IDLE = 5


@plugin
class Told:
    """What each packet's flow is, by the packet's time."""

    flows = Flows({"bytes": u64, "packets": u64}, capacity=1 << 11, idle=IDLE, stream=LIMIT)
    told = Table(
        key={"ts": u64},
        value={"octets": blob(LIMIT), "gap": u64, "bits": u8, "src": addr, "sport": u16, "dport": u16, "first_ns": u64},
        capacity=1 << 14,
    )

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        f = state.flows.of(pkt)
        row = state.told.upsert(pkt.ts)
        if f and row:
            f.bytes += pkt.wirelen
            f.packets += 1
            row.octets = f.stream(pkt)
            row.gap = f.gap
            row.bits = f.new | f.forward << 1 | f.established << 2 | f.closing << 3 | f.closed << 4
            row.src, row.sport, row.dport, row.first_ns = f.src, f.sport, f.dport, f.first_ns
        return PASS


@plugin
class Streams:
    """The first bytes of both ends of each TCP connection, by its ends and the time of the packet that began it."""

    idle = Param(0, "seconds of silence that end a flow")
    flows = Flows({"began": u64.first}, idle=idle, stream=1024)
    streams = Table(
        key={"src": addr, "dst": addr, "sport": u16, "dport": u16, "began": u64},
        value={"up": blob(1024), "down": blob(1024), "packets": u64},
        capacity=1 << 16,
    )

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.proto != 6 or pkt.is_fragment:
            return PASS
        f = state.flows.of(pkt)
        if f.new:
            f.began = pkt.ts
        row = state.streams.upsert(f.src, f.dst, f.sport, f.dport, f.began)
        if row:
            row.packets += 1
            if f.forward:
                row.up = f.stream(pkt)
            else:
                row.down = f.stream(pkt)
        return PASS


@plugin(per="worker")
class Few:
    """Room for 16 flows, each with what its stream was at last."""

    flows = Flows({"packets": u64, "octets": blob(8)}, capacity=16, idle=IDLE, stream=8)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        f = state.flows.of(pkt)
        if f:
            f.packets += 1
            f.octets = f.stream(pkt)
        return PASS
