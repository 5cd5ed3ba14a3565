"""`ahead`: what a plugin finds out before its packet's turn, and what its filter makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.kit.places import BUNDLED
from tests.kit.rig import Rig, bound, read_capture
from zcframe import PASS, Array, Table, addr, plugin, text, u16, u64
from zcframe.framework.errors import PluginCompileError
from zcframe.framework.state.merge import State

FRAMES = tuple(read_capture(BUNDLED))[:4000]


def udp(port: int) -> bytes:
    return raw(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=port))


def run(plugins: list[Any], frames: list[bytes]) -> Rig:
    return Rig(*(bound(one) for one in plugins)).feed(frames)


@plugin
class ByKey:
    """Hosts by key, as a plugin without `ahead` counts them."""

    hosts = Table(key={"hi": u64, "lo": u64}, value={"packets": u64, "bytes": u64}, capacity=2048)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.hosts.upsert(pkt.src_hi, pkt.src_lo)
        if row:
            row.packets += 1
            row.bytes += pkt.wirelen
        return PASS


@plugin
class BySpot:
    """The same by spot, and again by a spot that `find` is asked for."""

    hosts = Table(key={"hi": u64, "lo": u64}, value={"packets": u64, "bytes": u64}, capacity=2048)
    found = Array(u64, 2)

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        return pkt.wirelen, (state.hosts.spot(pkt.src_hi, pkt.src_lo), state.hosts.spot(pkt.dst_hi, pkt.dst_lo))

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        length, (source, target) = ahead
        row = state.hosts.upsert(source)
        if row:
            row.packets += 1
            row.bytes += length
        there, key = state.hosts.find(target), state.hosts.find(pkt.dst_hi, pkt.dst_lo)
        state.found[0] += int(bool(there))
        state.found[1] += int(bool(key))
        return PASS


def rows(state: State) -> list[Any]:
    return sorted(state.hosts.tolist())


def test_a_spot_finds_what_its_key_finds() -> None:
    """Also behind other rows, in a table that is full, and for a key that the same burst brought."""
    with Rig(bound(ByKey), bound(BySpot), slots=4096).feed(FRAMES) as rig:
        by_key, by_spot = rig.state("bykey"), rig.state("byspot")
    assert rows(by_key) == rows(by_spot)
    assert by_key.lost == by_spot.lost
    assert by_spot.found[0] == by_spot.found[1] > 0


@plugin
class Named:
    """Hosts by address and text, by key and by a spot; addresses and views wait for the packet's turn, too."""

    keyed = Table(key={"src": addr, "name": text(5)}, value={"packets": u64}, capacity=4096)
    spotted = Table(key={"src": addr, "name": text(5)}, value={"packets": u64}, capacity=4096)
    same = Array(u64, 3)

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        name = pkt.frame[pkt.wirelen % 60 :]
        return state.spotted.spot(pkt.src, name), name, (pkt.dst, pkt.payload[:7])

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        spot, name, (target, view) = ahead
        spotted = state.spotted.upsert(spot)
        if spotted:
            spotted.packets += 1
            state.same[2] += state.spotted.find(pkt.src, name).packets == spotted.packets
        keyed = state.keyed.upsert(pkt.src, name)
        if keyed:
            keyed.packets += 1
        state.same[0] += target == pkt.dst
        state.same[1] += view == pkt.payload[:7]
        if pkt.wirelen % 9 == 0:
            state.same[2] -= state.spotted.delete(spot) != state.keyed.delete(pkt.src, name)
        return PASS


def test_spots_of_addresses_and_text() -> None:
    with Rig(bound(Named), slots=4096).feed(FRAMES) as rig:
        found, ledger = rig.state("named"), rig.ledger()
    assert ledger["faulted"] == {"named": 0} and found.lost["spotted"] == found.lost["keyed"]
    assert sorted(found.keyed.tolist()) == sorted(found.spotted.tolist())
    assert len(found.keyed) > 100
    assert found.same.tolist() == [len(FRAMES), len(FRAMES), len(FRAMES) - found.lost["spotted"]]


@plugin(per="worker")
class Stumbles:
    """Raises in `ahead` for one port, in a burst of others."""

    seen = Array(u64, 2)

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.dport == 13:
            raise ValueError("no")
        return pkt.dport

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        state.seen[0] += 1
        state.seen[1] += ahead
        return PASS


def test_a_raise_ahead_is_a_fault_of_that_packet() -> None:
    ports = [1, 2, 13, 4, 13, 13, 7]
    with run([ByKey, Stumbles, "sizes"], [udp(port) for port in ports]) as rig:
        assert rig.ledger()["faulted"] == {"bykey": 0, "stumbles": 3, "sizes": 0}
        assert rig.state("stumbles").seen.tolist() == [4, 1 + 2 + 4 + 7]
        # Earlier plugins keep what they did with it, later ones do not see it.
        assert rows(rig.state("bykey"))[0][2] == len(ports)
        assert rig.report("sizes")["packets"] == 4


HEAD = """
from zcframe import PASS, Array, Table, plugin, u16, u64


@plugin
class Mine:
    ports = Table(key={"port": u16}, value={"packets": u64}, capacity=2048)
    others = Table(key={"other": u16}, value={"packets": u64}, capacity=2048)
    seen = Array(u64, 1)

    def ahead(pkt, state, params):
        AHEAD

    def filter(pkt, state, params, ahead):
        FILTER
        return PASS
"""

MISTAKES = {
    "a float": ("return 1.5", "pass", "ahead returns float64: whole numbers, addresses, views and spots"),
    "nothing": ("pass", "pass", "ahead returns none: whole numbers, addresses, views and spots"),
    "a row": ("return state.ports.upsert(pkt.dport)", "pass", "prefetch cannot call ports.upsert(), nor can ahead"),
    "a write": ("state.seen[0] = 1\n        return 1", "pass", "prefetch cannot write to seen, nor can ahead"),
    "another table": (
        "return state.ports.spot(pkt.dport)",
        "state.others.upsert(ahead)",
        "a spot of another table, ports",
    ),
    "too much": (f"return ({'1, ' * 200})", "pass", "ahead returns too much"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(tmp_path: Path, name: str) -> None:
    ahead, body, reason = MISTAKES[name]
    path = tmp_path / "mine.py"
    path.write_text(HEAD.replace("AHEAD", ahead).replace("FILTER", body))
    with pytest.raises(PluginCompileError, match="plugin mine does not compile: ") as caught, Rig(bound(str(path))):
        pass
    assert reason in str(caught.value)


def test_filter_must_take_what_ahead_returns() -> None:
    with pytest.raises(TypeError, match=r"Mine.filter\(pkt, state, params\) must take \(pkt, state, params, ahead\)"):

        @plugin
        class Mine:
            ports = Table(key={"port": u16}, value={"packets": u64}, capacity=2048)

            @staticmethod
            def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
                return 1

            @staticmethod
            def filter(pkt, state, params):  # type: ignore[no-untyped-def]
                return PASS
