"""Flows, and the first bytes of their ends: which TLS servers clients asked for by name."""

from zcframe import PASS, Flows, Param, Table, plain, plugin, text, u8, u64

SERVER_NAME, MOST_EXTENSIONS = 0, 64


def server_name(hello):
    """The server name of a ClientHello (RFC 8446, 4.1.2; RFC 6066, 3), empty where there is none."""
    hello = hello[44 + hello[43] :]  # behind the session ID
    hello = hello[2 + hello.u16(0) :]  # behind the cipher suites
    hello = hello[3 + hello[0] :]  # behind the compression methods, at the first extension
    for _ in range(MOST_EXTENSIONS):
        if hello.u16(0) != SERVER_NAME:
            hello = hello[4 + hello.u16(2) :]
    end = 9 + hello.u16(7)
    return hello[9:end] if end <= len(hello) else hello[:0]


@plugin
class TlsNames:
    """Connections that begin with a ClientHello, by server name, on any port of TCP."""

    top = Param(20, "names in the report", minimum=1)
    flows = Flows({"counted": u8}, capacity=1 << 15, stream=4096)
    names = Table(key={"name": text(255)}, value={"connections": u64})

    def filter(pkt, state, params):
        if pkt.proto == 6:
            f = state.flows.of(pkt)
            if f and not f.counted:
                hello = f.stream(pkt)
                if hello.startswith(b"\x16\x03") and hello[5] == 1 and server_name(hello):
                    f.counted = 1
                    row = state.names.upsert(server_name(hello))
                    if row:
                        row.connections += 1
        return PASS

    def report(merged, params):
        rows = merged.names[merged.names.connections.argsort(kind="stable")[::-1]]
        top = {plain(row.name): row.connections for row in rows[: params.top]}
        return {"names": len(rows), "lost": sum(merged.lost.values()), "top": top}
