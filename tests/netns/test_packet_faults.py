"""What befalls an interface while the packet source captures from it, and what it refuses to capture from."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path

import dpkt
import pytest

from tests.kit.command import until

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces")

BACKEND = ("--backend", "packet", "--queues", 2)
NEAR = ("--iface", "near", *BACKEND, "--plugin", "sizes")
FRAME = b"\x02" * 12 + b"\x88\xb5" + bytes(86)


@pytest.fixture
def space(space: Space) -> Space:
    """With a veth in it."""
    space.veth()
    return space


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """A capture of ten frames of 100 bytes."""
    path = tmp_path / "ten.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for _ in range(10):
            writer.writepkt(FRAME, 0.0)
    return path


def test_down_at_the_start(space: Space, tmp_path: Path, ten: Path) -> None:
    space.ip("link set near down")
    with space.capture(tmp_path, *NEAR) as run:
        run.wait_to_hear("near is down: nothing comes until somebody brings it up")
        space.ip("link set near up")
        run.wait_to_hear("near is up again")
        space.send(ten)
        done = run.wait_for(10).stop()
    assert done.code == 0
    assert done.ledger["delivered"] == 10


def test_down_and_up(space: Space, tmp_path: Path, ten: Path) -> None:
    with space.capture(tmp_path, *NEAR) as run:
        space.send(ten)
        run.wait_for(10)
        space.ip("link set near down")
        run.wait_to_hear("near went down: nothing comes until somebody brings it up again")
        space.ip("link set near up")
        run.wait_to_hear("near is up again")
        space.send(ten)
        done = run.wait_for(20).stop()
    assert done.code == 0
    assert done.ledger["delivered"] == done.document["plugins"]["sizes"]["packets"] == 20


def test_each_change_is_told_with_its_time_and_the_last_one_last(space: Space, tmp_path: Path) -> None:
    """Down and up three times, then down; `ip` changes the state, and nothing else is said meanwhile."""
    with space.capture(tmp_path, *NEAR) as run:
        run.wait_to_hear("zcframe: capturing from near by packet, 2 workers")
        for number, state in enumerate(["down", "up", "down", "up", "down", "up", "down"]):
            space.ip(f"link set near {state}")
            until(lambda told=number + 1: len(_changes(run.stderr)) == told, what=f"change {number}")
        done = run.stop()
    assert done.code == 0
    assert [word for _, word in _changes(done.stderr)] == ["down", "up", "down", "up", "down", "up", "down"]
    times = [datetime.fromisoformat(time) for time, _ in _changes(done.stderr)]
    began, ended = (datetime.fromisoformat(done.document[name]) for name in ("started", "ended"))
    assert [began.replace(microsecond=0), *times, ended] == sorted([began.replace(microsecond=0), *times, ended])


def _changes(stderr: str) -> list[tuple[str, str]]:
    """(time, "down" or "up") of each line about near's state."""
    return re.findall(r"^(\S+) zcframe: warning: near (?:went|is) (down|up)", stderr, re.MULTILINE)


def test_renamed(space: Space, tmp_path: Path, ten: Path) -> None:
    with space.capture(tmp_path, *NEAR) as run:
        space.ip("link set near name tap0")
        run.wait_to_hear("near is called tap0 now; the capture goes on")
        space.send(ten)
        done = run.wait_for(10).stop()
    assert done.code == 0
    assert done.ledger["delivered"] == 10


def test_another_mtu(space: Space, tmp_path: Path, ten: Path) -> None:
    with space.capture(tmp_path, *NEAR) as run:
        space.ip("link set near mtu 9000")
        run.wait_to_hear("the MTU of near is 9000 now, was 1500")
        space.send(ten)
        done = run.wait_for(10).stop()
    assert done.code == 0


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_gone(space: Space, tmp_path: Path, ten: Path, how: str) -> None:
    """The end of the run, but not of what came before: no frame of it is missing."""
    with Space() as other, space.capture(tmp_path, *NEAR) as run:
        space.send(ten)
        space.ip("link delete near" if how == "removed" else f"link set near netns {other.pid}")
        done = run.finish()
    assert done.code == 1
    assert "near is gone" in done.stderr
    assert done.ledger["delivered"] == 10
    assert done.ledger["in_flight"] == 0


def test_unknown(space: Space) -> None:
    done = space.zcframe("run", "--iface", "eth7", *BACKEND)
    assert done.code == 1
    assert "there is no interface 'eth7'" in done.stderr


def test_without_the_capability(space: Space) -> None:
    launcher = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    done = space.zcframe("run", "--iface", "near", *BACKEND, launcher=launcher)
    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert "near" in line and "CAP_NET_RAW is missing" in line and "--cap-add NET_RAW for a container" in line


def test_several_captures_at_once(space: Space, tmp_path: Path, ten: Path) -> None:
    """Each has a group of its own and sees everything."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with space.capture(folders[0], *NEAR) as one, space.capture(folders[1], *NEAR) as other:
        space.send(ten)
        for run in (one, other):
            assert run.wait_for(10).stop().ledger["delivered"] == 10


def test_both_directions(space: Space, tmp_path: Path, ten: Path) -> None:
    with space.capture(tmp_path, *NEAR) as run:
        space.send(ten)
        space.send(ten, ifname="near")
        assert run.wait_for(20).stop().ledger["delivered"] == 20


def test_both_ends_at_once(space: Space, tmp_path: Path, ten: Path) -> None:
    """Two interfaces in one run: rows of their own, one total."""
    with space.capture(tmp_path, "--iface", "near", "far", *BACKEND, "--plugin", "sizes") as run:
        space.send(ten)
        done = run.wait_for(20).stop()
    rows = [(row["iface"], row["queue"], row["packets"]) for row in done.document["queues"]]
    assert [row[:2] for row in rows] == [("near", 0), ("near", 1), ("far", 0), ("far", 1)]
    assert [sum(packets for name, _, packets in rows if name == iface) for iface in ("near", "far")] == [10, 10]
    assert done.document["plugins"]["sizes"]["packets"] == 20


LOOPBACK = """
import socket
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in (100, 30000, 60000):
    sender.sendto(bytes(size), receiver.getsockname())
"""


@pytest.mark.parametrize("queues", [1, 2])
def test_loopback_shows_each_frame_once(space: Space, tmp_path: Path, queues: int) -> None:
    """And frames longer than a block of the card: whole up to 32,767 bytes, cut behind."""
    options = ("--backend", "packet", "--queues", queues, "--plugin", "sizes")
    with space.capture(tmp_path, "--iface", "lo", *options) as run:
        space.run(sys.executable, "-c", LOOPBACK)
        run.wait_to_hear("zcframe: warning: lo: frames that were cut so far: 1; plugins see the first 32,767 bytes")
        done = run.wait_for(3).stop()
    assert done.ledger["delivered"] == 3
    assert done.ledger["truncated"] == 1
    assert done.document["totals"]["bytes"] == sum(14 + 20 + 8 + size for size in (100, 30000, 60000))


def test_what_the_card_did_not_share_out_is_not_verified(space: Space) -> None:
    done = space.zcframe("run", *NEAR, "--verify-rss", "--check")
    assert done.code == 2
    assert done.complaints == [
        "zcframe: --verify-rss: near is captured by the packet source, which shares frames out whatever queue the card"
        " chose: add --fanout qm, or use --backend xdp"
    ]
    done = space.zcframe("run", *NEAR, "--verify-rss", "--check", "--fanout", "qm")
    assert (done.code, done.complaints) == (1, ["zcframe: --verify-rss: the driver of near cannot tell its RSS table"])


def test_where_the_card_chooses_its_symmetry_is_told(space: Space, tmp_path: Path) -> None:
    with space.capture(tmp_path, *NEAR, "--fanout", "qm") as run:
        run.wait_to_hear(
            "near: do both directions of a flow come to one queue? cannot be proved: the driver does not tell its RSS"
            " settings"
        )
        assert run.stop().code == 0
