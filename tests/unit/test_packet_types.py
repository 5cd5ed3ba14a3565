"""The types that editors and type checkers read are those of compiled code."""

from __future__ import annotations

from typing import Any, get_type_hints

from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import zcframe
from tests.kit.probe import ADDRESSES, VIEWS
from tests.kit.rig import run
from zcframe import DROP, PASS, Array, Packet, Verdict, View, plugin, u64
from zcframe.framework.packet.public import Addr
from zcframe.framework.packet.value import DOCS


@plugin
class Typed:
    bytes = Array(u64, 256)

    @staticmethod
    def filter(pkt: Packet, state: Any, params: Any) -> Verdict:
        view: View = pkt.payload
        state.bytes[view[0]] += 1
        return DROP if pkt.dport == 53 else PASS


def frame(port: int) -> bytes:
    ends = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return raw(ends / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=port) / b"\x07")


def test_a_filter_with_types_compiles() -> None:
    with run([Typed], [frame(53), frame(80)]) as rig:
        assert rig.ledger()["dropped"] == {"typed": 1}
        assert rig.state("typed").bytes[7] == 2


def test_a_packet_has_these_attributes_and_no_other() -> None:
    assert {name for name in vars(Packet) if not name.startswith("_")} == {*DOCS, "inner"}
    assert get_type_hints(Packet.inner)["return"] is Packet
    kinds = {name: get_type_hints(getattr(Packet, name).fget)["return"] for name in DOCS}
    assert kinds == {name: View if name in VIEWS else Addr if name in ADDRESSES else int for name in DOCS}


def test_completion_shows_the_public_face() -> None:
    assert dir(zcframe) == sorted(zcframe.__all__)
