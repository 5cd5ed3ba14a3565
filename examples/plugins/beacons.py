"""State over several flows: who calls home, by how regularly a host connects to the same port of another one."""

from zcframe import PASS, Moments, Param, Table, addr, plugin, u16, u32, u64

SYN, ACK = 0x02, 0x10


@plugin(needs="ip-pair")
class Beacons:
    """Clients whose TCP connections to a server's port come at regular times: the jitter of the gaps is small.

    Connections of a client come from different ports, thus in different buckets of a 5-tuple's hash. The gaps between
    them can only be measured where they are together: hence needs="ip-pair".
    """

    gaps = Param(8, "gaps that there must be, at least", minimum=2)
    jitter = Param(0.1, "standard deviation of the gaps by their mean, at most", minimum=0.0)
    # ns: when the last connection began; us: the gaps, in microseconds, of which Moments takes up to four years.
    pairs = Table({"src": addr, "dst": addr, "port": u16}, {"ns": u64.max, "seq": u32.first, "us": Moments()}, 1 << 18)

    def filter(pkt, state, params):
        if pkt.tcp_flags & (SYN | ACK) == SYN:
            row = state.pairs.upsert(pkt.src, pkt.dst, pkt.dport)
            if row and (row.new or row.seq != pkt.tcp_seq):  # else it is sent again
                if not row.new:
                    row.us.add((pkt.ts - row.ns) // 1000)
                row.ns, row.seq = pkt.ts, pkt.tcp_seq
        return PASS

    def report(merged, params):
        rows = [row for row in merged.pairs if row.us.count >= params.gaps and row.us.jitter <= params.jitter]
        return {"pairs": len(merged.pairs), "lost": merged.lost["pairs"], "beacons": [described(row) for row in rows]}


def described(row):
    times = {"gaps": row.us.count, "seconds": row.us.mean / 1e6, "jitter": row.us.jitter}
    return {"client": row.src, "server": row.dst, "port": row.port} | times
