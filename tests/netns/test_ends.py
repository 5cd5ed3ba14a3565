"""How live captures end: by a signal, with frames left in their rings, with one of several interfaces gone."""

from __future__ import annotations

import signal
from pathlib import Path

import dpkt
import pytest

from tests.kit.checks import check_books
from tests.kit.places import ANALYZERS

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces")

FRAME = b"\x02" * 12 + b"\x88\xb5" + bytes(86)
SENT = 200
SLOW = f"{ANALYZERS / 'tally.py'}:Slow?rounds=30000000"
SETTINGS = "grep . threaded napi_defer_hard_irqs gro_flush_timeout"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for _ in range(SENT):
            writer.writepkt(FRAME, 0.0)
    return path


@pytest.mark.parametrize("backend", ["packet", "xdp"])
@pytest.mark.parametrize("drain", ["0", "inf"])
def test_frames_that_are_left(space: Space, tmp_path: Path, frames: Path, backend: str, drain: str) -> None:
    """No plugin sees them, and they are lost; or every one of them is waited for. A frame takes some 20 ms."""
    space.veth()
    words = ("--iface", "near", "--backend", backend, "--queues", 1, "--plugin", SLOW, "--max-loss", 0)
    with space.capture(tmp_path, *words, "--drain", drain) as run:
        space.send(frames)
        done = run.wait_for(SENT).stop(signal.SIGINT)
    totals = check_books(done.document)
    assert totals["ledger"]["arrived"] == SENT
    assert totals["lost"] == totals["ledger"]["in_flight"] == SENT - totals["packets"]
    if drain == "inf":
        assert (done.code, totals["packets"]) == (0, SENT)
    else:
        assert done.code == 3 and totals["lost"] > 0
        assert f"{totals['lost']} of {SENT} frames were in flight when the run ended" in done.stderr


@pytest.mark.parametrize("drain", ["1.5", "0"])
@pytest.mark.parametrize("backend", ["packet", "xdp"])
def test_one_of_two_interfaces_is_removed(space: Space, tmp_path: Path, frames: Path, backend: str, drain: str) -> None:
    """The other one goes on; the end is that of a run that has failed, whatever time there is for it."""
    space.veth()
    space.veth(names=("left", "right"))
    words = ("--iface", "left", "near", "--backend", backend, "--queues", 1, "--plugin", "sizes", "--drain", drain)
    with space.capture(tmp_path, *words) as run:
        space.send(frames, ifname="right")
        run.wait_for(SENT)
        space.ip("link delete left")
        run.wait_to_hear("left is gone")
        space.send(frames)
        done = run.flowing(2 * SENT).stop(signal.SIGINT)
    assert done.code == 1
    (line,) = done.complaints
    assert "left is gone" in line and line.endswith("the others go on")
    rows = {row["iface"]: row["packets"] for row in done.document["queues"]}
    assert rows == {"left": SENT, "near": SENT}


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.needs("ethtool")
def test_settings_come_back(space: Space, tmp_path: Path, number: int) -> None:
    space.veth()
    space.run("ethtool", "-K", "near", "gro", "on")
    show = ("sh", "-c", f"cd /sys/class/net/near; {SETTINGS}")
    before = space.run(*show)
    with space.capture(tmp_path, "--iface", "near", "--tune", "--queues", 1, "--plugin", "sizes") as run:
        assert space.run(*show) != before
        done = run.stop(number)
    assert done.code == 0, done
    check_books(done.document)
    assert space.run(*show) == before
    assert space.zcframe("rss", "restore").stdout == "nothing to put back\n"
