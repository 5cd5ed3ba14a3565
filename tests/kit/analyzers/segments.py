"""A record of each TCP segment that has data."""

from zcframe import PASS, Records, addr, blob, plugin, text, u16, u64


@plugin(name="tcp")
class Tcp:
    """What tshark's fields say of the same segments."""

    data = Records(ts=u64, src=addr, sport=u16, dport=u16, octets=blob(200), words=text(200))

    @staticmethod
    def filter(pkt, state, params):
        if pkt.proto == 6 and len(pkt.payload) > 0:
            state.data.emit(
                ts=pkt.ts,
                src=pkt.src,
                sport=pkt.sport,
                dport=pkt.dport,
                octets=pkt.payload,
                words=pkt.payload,
            )
        return PASS


@plugin
class Numbered:
    """The number that each frame of a test's trace has in its payload, and whether it is even."""

    all = Records(number=u64)
    even = Records(number=u64, name=text(8))

    @staticmethod
    def filter(pkt, state, params):
        number = pkt.payload.u32(4)
        state.all.emit(number=number)
        if number % 2 == 0:
            state.even.emit(number=number, name=b"even")
        return PASS
