"""One real trace through every live source: what plugins and ledger say of it is what they say of its replay."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit import reference
from tests.kit.checks import reported_flows
from tests.kit.command import Background, Finished, zcframe
from tests.kit.places import ANALYZERS, BUNDLED

from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces")

PLUGINS = (
    "--plugin",
    "flows?top=100000",
    "sizes",
    f"{ANALYZERS / 'packets.py'}:Buckets",
    f"{ANALYZERS / 'packets.py'}:Tags",
    f"{ANALYZERS / 'tally.py'}:Tally",
)
# Room for all of the trace. A packet socket hands a block over every 20 ms, however empty: so many outlast a second.
PACKET = "--backend packet --ring-slots 32768"
XDP = "--backend xdp --ring-slots 8192"

Document = dict[str, Any]


@pytest.fixture(scope="module")
def replayed() -> Document:
    """What the software NIC makes of the bundled trace."""
    return zcframe("run", "--json", "--read", BUNDLED, *PLUGINS).document


def whole(document: Document) -> Document:
    """The report of flows but for the times, which are those of the capture, and so in an order of its own."""
    report = document["plugins"]["flows"]
    rows = [{name: value for name, value in row.items() if not name.endswith("_ns")} for row in report["top"]]
    return {**report, "top": sorted(rows, key=repr)}


def without_order(document: Document) -> Document:
    """As far as it does not depend on which packet came first, where no packet's place among those of another queue is
    known: by ends, all flows together. A SYN behind the RST of its own flow begins another one."""
    report = document["plugins"]["flows"]
    rows = {key: joined(flows) for key, flows in reported_flows(report).items()}
    return {**report, "top": rows, "count": len(rows)}


def joined(flows: Sequence[Document]) -> Document:
    return {
        "packets": sum(flow["packets"] for flow in flows),
        "bytes": sum(flow["bytes"] for flow in flows),
        "tcp_flags": functools.reduce(operator.or_, (flow["tcp_flags"] for flow in flows)),
        "one_sided": all(flow["one_sided"] for flow in flows),
    }


def buckets_of(document: Document) -> list[int]:
    """Frames of each bucket, whichever workers saw them."""
    return [sum(counts) for counts in zip(*document["plugins"]["buckets"]["workers"], strict=True)]


def check_same(done: Finished, replayed: Document, flows_of: Callable[[Document], Document] = whole) -> None:
    assert done.code == 0, done.stderr
    found, frames = done.document, replayed["totals"]["packets"]
    assert done.ledger["arrived"] == done.ledger["delivered"] == done.ledger["accepted"] == frames
    assert found["totals"]["bytes"] == replayed["totals"]["bytes"]
    assert found["plugins"]["sizes"] == replayed["plugins"]["sizes"]
    assert found["plugins"]["tally"] == replayed["plugins"]["tally"]
    assert buckets_of(found) == buckets_of(replayed)
    assert found["plugins"]["tags"] == replayed["plugins"]["tags"]
    assert flows_of(found) == flows_of(replayed)


def capture(space: Space, folder: Path, names: str, options: str) -> Background:
    return space.capture(folder, "--iface", *names.split(), *options.split(), *PLUGINS)


@pytest.mark.parametrize(
    ("queues", "options", "flows_of"),
    [
        pytest.param(3, f"{PACKET} --queues 1", whole, id="packet, one for all"),
        pytest.param(3, f"{PACKET} --queues 3 --fanout hash", whole, id="packet by hash"),
        pytest.param(3, f"{PACKET} --queues 3 --fanout qm", whole, id="packet by queue"),
        pytest.param(3, f"{PACKET} --queues 3 --fanout ip-pair", whole, id="packet by addresses"),
        pytest.param(4, f"{XDP} --queues 4", without_order, id="xdp, one a queue"),
        pytest.param(2, f"{XDP} --queues 3", without_order, id="xdp, three on two"),
        # Each flow, in both directions, is one worker's, which sees its packets in order.
        pytest.param(1, f"{XDP} --queues 3", whole, id="xdp, three on one"),
        pytest.param(1, f"{XDP} --queues 4", whole, id="xdp, four on one"),
    ],
)
def test_a_veth(
    space: Space,
    tmp_path: Path,
    replayed: Document,
    queues: int,
    options: str,
    flows_of: Callable[[Document], Document],
) -> None:
    """VLAN and QinQ, fragments and IPv6 included."""
    space.veth(queues)
    with capture(space, tmp_path, "near", options) as run:
        space.send(BUNDLED)
        done = run.wait_for(replayed["totals"]["packets"]).stop()
    check_same(done, replayed, flows_of)
    assert all(row["packets"] for row in done.document["queues"])


@pytest.mark.parametrize(
    ("queues", "options"),
    [(2, f"{PACKET} --queues 2 --fanout qm"), (2, f"{XDP} --queues 2"), (1, f"{XDP} --queues 3")],
    ids=["packet", "xdp", "xdp, three on one"],
)
def test_tags_that_come_beside_the_frame(
    space: Space, tmp_path: Path, replayed: Document, tells_tags: bool, queues: int, options: str
) -> None:
    """Outer tags are taken off before the frame gets to us, as a card does; the frame counts as it was sent."""
    if options.startswith(XDP) and not tells_tags:
        pytest.skip("this kernel's veth tells no tags")
    space.veth(queues)
    with space.start(*program_of("untag"), "far") as program:
        assert program.stdout is not None
        if program.stdout.readline() != "ready\n":
            pytest.skip("this kernel lets no program take tags off")
        with capture(space, tmp_path, "near", options) as run:
            space.send(BUNDLED)
            done = run.wait_for(replayed["totals"]["packets"]).stop()
    assert [row[:4] for row in replayed["plugins"]["tags"]["rows"][1:]] == [[1, 100, 0, 225], [2, 200, 30, 107]]
    check_same(done, replayed, without_order)


@pytest.mark.parametrize("down", [False, True], ids=["up", "down and up"])
@pytest.mark.parametrize("options", [f"{PACKET} --fanout qm", XDP], ids=["packet", "xdp"])
def test_a_tap_that_spreads_by_rss_gives_each_worker_its_queue(
    space: Space, tmp_path: Path, replayed: Document, packets: Sequence[reference.Packet], options: str, down: bool
) -> None:
    """Also after the interface was down: the kernel lets the sockets of a group in anew."""
    with space.tap(4, BUNDLED) as send, capture(space, tmp_path, "t0", f"{options} --queues 4") as run:
        if down:
            space.ip("link set t0 down")
            run.wait_to_hear("t0 went down")
            space.ip("link set t0 up")
            run.wait_to_hear("t0 is up again")
        send()
        done = run.wait_for(len(packets)).stop()
    check_same(done, replayed)
    totals = reference.queue_totals(packets, reference.SYMMETRIC, "5-tuple", 4)
    assert [(row["packets"], row["bytes"]) for row in done.document["queues"]] == totals


def write(file: Path, frames: Sequence[bytes]) -> Path:
    with file.open("wb") as opened:
        writer = dpkt.pcap.Writer(opened)
        for frame in frames:
            writer.writepkt(frame, ts=0)
    return file


@pytest.mark.parametrize("options", [PACKET, XDP], ids=["packet", "xdp"])
def test_two_directions_on_two_interfaces(
    space: Space, tmp_path: Path, replayed: Document, packets: Sequence[reference.Packet], options: str
) -> None:
    """As taps bring them: flows merge over interfaces; each has rows and a ledger of its own."""
    sides: dict[str, list[bytes]] = {"": [], "2": []}
    for frame, *_ in packets:
        sides["2" if frame[:6] > frame[6:12] else ""].append(frame)
    for side in sides:
        space.veth(2, names=(f"near{side}", f"far{side}"))
    with capture(space, tmp_path, "near near2", f"{options} --queues 2") as run:
        for side, frames in sides.items():
            space.send(write(tmp_path / f"side{side}", frames), ifname=f"far{side}")
        done = run.wait_for(len(packets)).stop()
    check_same(done, replayed, without_order)
    assert done.document["source"]["names"] == ["near", "near2"]
    for side, frames in sides.items():
        ledgers = [row["ledger"] for row in done.document["queues"] if row["iface"] == f"near{side}"]
        assert len(ledgers) == 2
        assert sum(row["arrived"] for row in ledgers) == sum(row["delivered"] for row in ledgers) == len(frames) > 0
