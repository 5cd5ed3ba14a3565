"""The one with a table: which host offers which TCP service, and who was the first to be answered."""

from zcframe import PASS, Param, Table, addr, plugin, u16, u64

SYN, ACK = 0x02, 0x10


@plugin
class Services:
    """TCP services that exist: a SYN-ACK proves that somebody listens there.

    A SYN that is sent again may be answered again, and counts again.
    """

    capacity = Param(1 << 16, "services that there is room for, over all buckets", minimum=2048)

    services = Table(
        key={"host": addr, "port": u16},
        value={"answers": u64, "first_ns": u64.min, "last_ns": u64.max},
        capacity=capacity,
    )

    def filter(pkt, state, params):
        if pkt.tcp_flags & (SYN | ACK) == SYN | ACK:
            row = state.services.upsert(pkt.src, pkt.sport)
            if row:  # false where the table is full; the report has it as "lost"
                if row.new:
                    row.first_ns = pkt.ts
                row.first_ns = min(row.first_ns, pkt.ts)
                row.last_ns = max(row.last_ns, pkt.ts)
                row.answers += 1
        return PASS

    def report(merged):
        rows = merged.services[merged.services.answers.argsort(kind="stable")[::-1]]
        return {"count": len(rows), "lost": merged.lost["services"], "services": rows}

    def lines(report):
        return [f"{service['host']} port {service['port']}" for service in report["services"][:3]]
