"""State over several packets, and quantiles: how long TCP handshakes take, by server port."""

from zcframe import PASS, LogHist, Table, addr, plugin, u16, u32, u64

SYN, RST, ACK, SEQUENCE = 0x02, 0x04, 0x10, 0xFFFFFFFF
ENDS = {"client": addr, "server": addr, "c_port": u16, "s_port": u16}


@plugin
class Handshakes:
    """Time from SYN to SYN-ACK by server port. Quantiles are within 1/16 of themselves.

    If a SYN was sent twice before it was answered, the time says nothing, and is left out (Karn's algorithm, RFC 6298).
    Both directions of a connection must come to one bucket, as they do with the symmetric key, the default.
    """

    # A connection that was silent for a minute may give up its row.
    asked = Table(ENDS, {"seq": u32.first, "times": u64, "last_ns": u64.max}, 1 << 18, idle=60, last="last_ns")
    ports = Table({"port": u16}, {"time": LogHist()})

    def filter(pkt, state, params):
        flags = pkt.tcp_flags & (SYN | RST | ACK)
        if flags == SYN:
            row = state.asked.upsert(pkt.src, pkt.dst, pkt.sport, pkt.dport)
            if row:
                row.times = row.times + 1 if row.seq == pkt.tcp_seq else 1
                row.seq, row.last_ns = pkt.tcp_seq, pkt.ts
        elif flags == SYN | ACK:
            row = state.asked.find(pkt.dst, pkt.src, pkt.dport, pkt.sport)
            if row and row.times == 1 and pkt.tcp_ack == (row.seq + 1) & SEQUENCE:
                port = state.ports.upsert(pkt.sport)
                if port:
                    port.time.add(pkt.ts - row.last_ns)
                row.times += 1  # what is sent again from now on does not count
        return PASS

    def report(merged):
        times = {int(row.port): row.time for row in merged.ports}
        ports = {p: {"handshakes": t.count, "p50_ms": t.p50 / 1e6, "p99_ms": t.p99 / 1e6} for p, t in times.items()}
        return {"ports": ports, "lost": sum(merged.lost.values())}
