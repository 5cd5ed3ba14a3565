"""Share rules: compiled functions (pkt, shares) -> number of the share, from what the packet itself says."""

from __future__ import annotations

from typing import Any, Final

from zcframe.framework.jit.address import mul_high, shift_right
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.packet import value as _value  # noqa: F401 - a packet's attributes

from .output import BY_QUEUE

ODD: Final = 0x1F83D9ABFB41BD6B


@inlined
def by_ip_pair(pkt, shares):  # type: ignore[no-untyped-def]
    """Both directions between two addresses, fragments too, are one share; what is not IP is the first one's."""
    if pkt.ip_version == 0:
        return 0
    high, low = pkt.src_hi ^ pkt.dst_hi, pkt.src_lo + pkt.dst_lo
    return (shift_right(mul_high(low ^ (high * 31), ODD), 33) * shares) >> 31


RULES: Final[dict[str, Any]] = {"ip-pair": by_ip_pair, BY_QUEUE: None}
