"""The real one: how far away servers and clients are, by the round trips of their TCP handshakes."""

from zcframe import PASS, Param, Table, addr, ip_text, plugin, u8, u16, u32, u64

SYN, RST, ACK, SEQUENCE = 0x02, 0x04, 0x10, 0xFFFFFFFF
ASKED, ANSWERED, DONE, REPEATED = 1, 2, 3, 4
ENDS = {"client": addr, "server": addr, "c_port": u16, "s_port": u16}
TIMES = {"syn_ns": u64.first, "answer_ns": u64.first, "last_ns": u64.max}
STAGE = {"stage": u8.max, "syn_seq": u32.first, "answer_seq": u32.first}


@plugin
class Handshakes:
    """Mean times from SYN to SYN-ACK (server_ms) and from there to the ACK (client_ms), by server.

    Handshakes in which something was sent twice are left out: their times say nothing (Karn's algorithm, RFC 6298).
    Both directions of a connection must come to one worker, as they do with the symmetric key, the default.
    """

    capacity = Param(1 << 18, "connections that there is room for, over all buckets", minimum=2048)
    # A connection that was silent for a minute may give up its row.
    connections = Table(ENDS, TIMES | STAGE, capacity, idle=60, last="last_ns")
    servers = Table({"host": addr, "port": u16}, {"handshakes": u64, "server_ns": u64, "client_ns": u64})

    def filter(pkt, state, params):
        flags, table = pkt.tcp_flags & (SYN | RST | ACK), state.connections
        if flags == SYN:
            row = table.upsert(pkt.src, pkt.dst, pkt.sport, pkt.dport)
            if row:
                row.stage = REPEATED if row.stage and row.syn_seq == pkt.tcp_seq else ASKED
                row.syn_seq, row.syn_ns, row.last_ns = pkt.tcp_seq, pkt.ts, pkt.ts
        elif flags == SYN | ACK:
            row = table.find(pkt.dst, pkt.src, pkt.dport, pkt.sport)
            if row and pkt.tcp_ack == (row.syn_seq + 1) & SEQUENCE:
                row.stage = ANSWERED if row.stage == ASKED else REPEATED
                row.answer_seq, row.answer_ns, row.last_ns = pkt.tcp_seq, pkt.ts, pkt.ts
        elif flags == ACK:
            row = table.find(pkt.src, pkt.dst, pkt.sport, pkt.dport)
            if row and row.stage == ANSWERED and pkt.tcp_ack == (row.answer_seq + 1) & SEQUENCE:
                row.stage = DONE
                server = state.servers.upsert(pkt.dst, pkt.dport)
                if server:
                    server.handshakes += 1
                    server.server_ns += row.answer_ns - row.syn_ns
                    server.client_ns += pkt.ts - row.answer_ns
        return PASS

    def report(merged):
        rows = merged.servers[merged.servers["handshakes"].argsort(kind="stable")[::-1]]
        return {"servers": [described(row) for row in rows], "lost": sum(merged.lost.values())}


def described(row):
    handshakes = int(row["handshakes"])
    mean = {f"{end}_ms": round(int(row[f"{end}_ns"]) / handshakes / 1e6, 6) for end in ("server", "client")}
    return {"host": ip_text(row["host"]), "port": int(row["port"]), "handshakes": handshakes, **mean}
