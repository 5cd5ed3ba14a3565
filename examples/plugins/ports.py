"""The easy one: an array, a parameter, a verdict."""

from zcframe import DROP, PASS, Array, Param, plugin, u64


@plugin
class Ports:
    """Packets by destination port; optionally drops one port."""

    block = Param(-1, "destination port to drop (-1: none)", minimum=-1, maximum=65535)
    ports = Array(u64, 65536)

    def filter(pkt, state, params):
        state.ports[pkt.dport] += 1
        return DROP if pkt.dport == params.block else PASS

    def report(merged):
        busiest = merged.ports.argsort(kind="stable")[::-1][:10]
        return {int(port): int(merged.ports[port]) for port in busiest if merged.ports[port]}
