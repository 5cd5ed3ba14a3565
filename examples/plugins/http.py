"""HTTP requests as records, a line each: zcframe run --plugin examples/plugins/http.py --rows json:-"""

from zcframe import PASS, Records, addr, plugin, text, u16, u64


@plugin
class Http:
    """Requests of HTTP/1: who asked whom for what. A request line that is cut between two segments is not seen."""

    requests = Records(ts=u64, src=addr, dst=addr, port=u16, method=text(8), path=text(2048))

    def filter(pkt, state, params):
        data = pkt.payload[:2100]
        space = data[:9].find(b" ") if pkt.proto == 6 else -1
        end = data.find(b" HTTP/1.", space + 1) if space > 2 else -1
        if end > 0:
            method, path = data[:space], data[space + 1 : end]
            state.requests.emit(ts=pkt.ts, src=pkt.src, dst=pkt.dst, port=pkt.dport, method=method, path=path)
        return PASS
