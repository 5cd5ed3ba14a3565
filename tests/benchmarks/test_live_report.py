"""The table of live capture: who is held against whom, and what becomes of those who were not measured."""

from __future__ import annotations

from benchmarks.live.contenders import LIBPCAP, LIBPCAP_THREE, PACKET_COUNTS, PACKET_THREE, XDP_COUNTS
from benchmarks.live.dumping import DUMP_PACKET, DUMP_XDP, DUMPCAP, TCPDUMP
from benchmarks.live.engine import ENGINE, ENGINE_PACKET
from benchmarks.live.measure import Paces
from benchmarks.live.report import Figures, bars


def measured() -> Figures:
    figures = Figures()
    for name, delivered, cost in (
        (PACKET_THREE, 2_000_000.0, 80.0),
        (LIBPCAP_THREE, 1_000_000.0, 160.0),
        (PACKET_COUNTS, 0.0, 30.0),
        (XDP_COUNTS, 0.0, 60.0),
        (LIBPCAP, 4_000_000.0, 20.0),
    ):
        figures.delivered[name] += [delivered] * 3
        figures.cost[name] += [cost] * 3
    return figures


def test_live_bars_are_held_against_c_that_does_the_same() -> None:
    rows = {row.name: row for row in bars(measured())}
    fair = rows[f"delivered on one core: {PACKET_THREE}, against {LIBPCAP_THREE}"]
    assert (fair.ratio, fair.verdict) == (2.0, "met")
    packet, xdp = (rows[f"CPU a packet: {name}, against {LIBPCAP}"] for name in (PACKET_COUNTS, XDP_COUNTS))
    assert (packet.ratio, packet.verdict) == (1.5, "missed by 50.0 %")
    assert (xdp.ratio, xdp.verdict) == (3.0, "met")
    counting = rows[f"delivered on one core: {PACKET_THREE}, against {LIBPCAP}"]
    assert (counting.ratio, counting.verdict) == (0.5, "")


def test_a_contender_that_was_left_out_has_no_row_and_a_missing_one_says_why() -> None:
    figures = measured()
    del figures.delivered[LIBPCAP_THREE], figures.cost[LIBPCAP_THREE], figures.cost[XDP_COUNTS]
    figures.missing[LIBPCAP_THREE] = "no libpcap"
    rows = {row.name: row for row in bars(figures)}
    assert f"CPU a packet: {XDP_COUNTS}, against {LIBPCAP}" not in rows
    fair = rows[f"delivered on one core: {PACKET_THREE}, against {LIBPCAP_THREE}"]
    assert fair.verdict == "not measured: no libpcap"


def test_files_are_held_against_the_better_of_two() -> None:
    figures = measured()
    for name, written in ((DUMP_PACKET, 900.0), (DUMP_XDP, 2000.0), (TCPDUMP, 800.0), (DUMPCAP, 1000.0)):
        figures.written[name] += [written] * 3
    rows = {row.name: row for row in bars(figures)}
    packet, xdp = (rows[f"in the file, on one core: {name}, against {DUMPCAP}"] for name in (DUMP_PACKET, DUMP_XDP))
    assert (packet.ratio, packet.verdict, xdp.ratio, xdp.verdict) == (0.9, "missed by 10.0 %", 2.0, "met")


def test_an_engine_is_held_against_its_own_capture() -> None:
    figures = measured()
    for name, seen in ((ENGINE, 200.0), (ENGINE_PACKET, 190.0)):
        figures.seen[name] += [seen] * 3
    (row,) = (row for row in bars(figures) if ENGINE in row.name)
    assert (row.name, row.ratio) == (f"decoded by one thread, on one core: {ENGINE_PACKET}, against {ENGINE}", 0.95)
    assert row.verdict == "missed by 5.0 %"


def test_paces_are_all_tried_once_and_then_the_best() -> None:
    paces, asked = Paces((1, 2, 3)), list[int]()

    def delivered(pace: int) -> float:
        asked.append(pace)
        return {1: 10.0, 2: 30.0, 3: 20.0}[pace]

    assert [paces.most("a", delivered) for _ in range(3)] == [30.0] * 3
    assert asked == [1, 2, 3, 2, 2]
    paces.most("b", delivered)
    assert asked[5:] == [1, 2, 3]
