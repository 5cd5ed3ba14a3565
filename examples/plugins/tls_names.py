"""Strings of bytes and a table: which TLS servers clients asked for by name."""

from zcframe import PASS, Param, Table, plugin, text, u64

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


@plugin(same=("shuffled", "split"))
class TlsNames:
    """ClientHellos by server name, on any port of TCP. A name that is cut between two segments is not seen."""

    top = Param(20, "names in the report", minimum=1)
    names = Table(key={"name": text(255)}, value={"hellos": u64})

    def filter(pkt, state, params):
        if pkt.proto == 6 and pkt.payload.startswith(b"\x16\x03") and pkt.payload[5] == 1:
            name = server_name(pkt.payload)
            if name:
                row = state.names.upsert(name)
                if row:
                    row.hellos += 1
        return PASS

    def report(merged, params):
        rows = merged.names[merged.names["hellos"].argsort(kind="stable")[::-1]]
        top = {row.name.decode(errors="backslashreplace"): int(row.hellos) for row in rows[: params.top]}
        return {"names": len(rows), "lost": merged.lost["names"], "top": top}
