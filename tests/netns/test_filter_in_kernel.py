"""The run's filter as a program of the packet sockets: the same rows as without it, and those of tcpdump."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit import reference
from tests.kit.command import Background
from tests.kit.places import BUNDLED

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces", "libpcap", "tcpdump")

NEAR = ("--iface", "near", "--backend", "packet", "--queues", 2, "--plugin", "sizes", "flows?top=100000")
# Tagged frames lie in the trace: the kernel takes the tags off, and leaves the verdict on them to the chain.
EXPRESSIONS = ("tcp port 443", "vlan or (not tcp and greater 200)")
# Without these rights, bpf() is refused.
WITHOUT_BPF = ("setpriv", "--bounding-set=-bpf,-sys_admin")


def matching(expression: str, capture: Path = BUNDLED) -> int:
    """How many frames of a capture tcpdump lets pass."""
    command = ["tcpdump", "--count", "-r", str(capture), expression]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()[0])


def first(count: int, folder: Path) -> Path:
    """A capture of the first so many frames of the trace."""
    path = folder / "first.pcap"
    with BUNDLED.open("rb") as source, path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=262144)
        for time, frame in itertools.islice(dpkt.pcap.UniversalReader(source), count):
            writer.writepkt(frame, time)
    return path


def programs(run: Background) -> int:
    """How many socket filters of eBPF the supervisor has loaded."""
    infos = Path(f"/proc/{run.process.pid}/fdinfo").iterdir()
    return sum("prog_type:\t1\n" in info.read_text() for info in infos)


def captured(
    space: Space, folder: Path, expression: str, sent: int, *, launcher: Sequence[object] = ()
) -> tuple[dict[str, Any], int]:
    words = ("run", "--json", "--stats-interval", 0.05, *NEAR, "--filter", expression)
    folder.mkdir()
    with Background(folder, *words, launcher=[*space.enter, *launcher]).looking() as run:
        loaded = programs(run)
        space.send(BUNDLED)
        done = run.wait_for(sent).stop()
    assert done.code == 0, done.stderr
    return done.document, loaded


def comparable(document: dict[str, Any]) -> Any:
    """What does not depend on time and process."""
    rows = ("queue", "packets", "bytes", "ledger")
    queues = [{name: queue[name] for name in rows} for queue in document["queues"]]
    flows = document["plugins"]["flows"]["packets"]
    return queues, document["totals"], document["plugins"]["sizes"], flows


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_rows_are_the_same_with_and_without_it(
    space: Space, tmp_path: Path, packets: list[reference.Packet], expression: str
) -> None:
    space.veth()
    sent, expected = len(packets), matching(expression)
    there, loaded = captured(space, tmp_path / "a", expression, sent)
    without, none = captured(space, tmp_path / "b", expression, sent, launcher=WITHOUT_BPF)
    assert (loaded, none) == (2, 0)
    assert 0 < expected < sent
    ledger = there["totals"]["ledger"]
    assert ledger["arrived"] == ledger["delivered"] == there["totals"]["packets"] == sent
    assert ledger["accepted"] == there["plugins"]["sizes"]["packets"] == expected
    assert ledger["dropped_by"] == {"filter": sent - expected}
    assert there["totals"]["bytes"] == sum(packet.wire for packet in packets)
    assert comparable(there) == comparable(without)


def test_what_is_refused_counts_whatever_becomes_of_workers(
    space: Space, tmp_path: Path, packets: list[reference.Packet]
) -> None:
    space.veth()
    expression = "tcp port 443"
    with space.capture(tmp_path, *NEAR, "--ring-slots", 65536, "--filter", expression) as run:
        with space.sending(BUNDLED) as sender:
            killed = run.kill(8, "zc-rx-", rate=4)
            sent = int(sender.communicate()[0])
        done = run.wait_for(sent).stop()
    assert done.code == 0, done.stderr
    assert sum(queue["restarts"] for queue in done.document["queues"]) == len(killed)
    assert done.ledger["arrived"] == sent
    assert done.ledger["delivered"] == sent - done.ledger["ring_full"]
    assert done.ledger["accepted"] + done.ledger["dropped_by"]["filter"] == done.ledger["delivered"]
    if done.ledger["ring_full"] == 0:
        rounds, rest = divmod(sent, len(packets))
        assert done.ledger["accepted"] == rounds * matching(expression) + matching(expression, first(rest, tmp_path))


LOOPBACK = """
import socket
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in (100, 30000, 60000) * 10:
    sender.sendto(bytes(size), receiver.getsockname())
"""


def test_on_loopback_each_frame_is_judged_once(space: Space, tmp_path: Path) -> None:
    """And --count is of all frames, those too that were refused."""
    words = ("--iface", "lo", "--backend", "packet", "--queues", 2, "--plugin", "sizes", "--filter", "greater 20000")
    with space.capture(tmp_path, *words, "--count", 30) as run:
        assert programs(run) == 2
        space.run("python3", "-c", LOOPBACK)
        done = run.finish()
    assert done.ledger["accepted"] == 20
    assert done.ledger["dropped_by"] == {"filter": 10}
    assert done.document["totals"]["bytes"] == 10 * sum(14 + 20 + 8 + size for size in (100, 30000, 60000))


def asked(space: Space, path: Path, *words: object) -> dict[str, Any]:
    done = space.zcframe("ctl", path, *words)
    assert done.code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_changed_while_packets_flow(space: Space, tmp_path: Path, packets: list[reference.Packet]) -> None:
    """Each time, what was refused before still counts, and the kernel refuses by the new one."""
    space.veth()
    path, sent = tmp_path / "ctl.sock", len(packets)
    expressions = (*EXPRESSIONS, "", "udp")
    with space.capture(tmp_path, *NEAR, "--ring-slots", 65536, "--filter", "ip6", "--ctl", path) as run:
        run.looking()
        space.send(BUNDLED)
        for round, expression in enumerate(expressions, 1):
            run.wait_for(round * sent)
            assert asked(space, path, "filter", expression)["filter"] == expression
            space.send(BUNDLED)
        assert 0 < programs(run) <= 4
        run.wait_for(5 * sent)
        with space.sending(BUNDLED) as sender:
            for expression in expressions:
                asked(space, path, "filter", expression)
            more = int(sender.communicate()[0])
        done = run.wait_for(5 * sent + more).stop()
    assert done.code == 0, done.stderr
    ledger = done.ledger
    assert ledger["arrived"] == 5 * sent + more
    assert ledger["accepted"] == done.document["plugins"]["sizes"]["packets"]
    assert ledger["accepted"] + ledger["dropped_by"]["filter"] == ledger["delivered"]
    assert ledger["delivered"] + ledger["ring_full"] == ledger["arrived"]


def test_each_of_several_filters_counts_what_tcpdump_does(
    space: Space, tmp_path: Path, packets: list[reference.Packet]
) -> None:
    space.veth()
    expressions = ("tcp port 443", "udp", "", "ip6")
    path, sent = tmp_path / "ctl.sock", len(packets)
    first, *others = expressions
    with space.capture(tmp_path, *NEAR, "--ring-slots", 65536, "--filter", first, "--ctl", path) as run:
        run.looking()
        for round, expression in enumerate(expressions, 1):
            if expression in others:
                asked(space, path, "filter", expression)
            space.send(BUNDLED)
            run.wait_for(round * sent)
            run.wait_until(lambda: run.ledger["in_flight"] == 0, "an empty ring")
        done = run.stop()
    expected = sum(matching(expression) if expression else sent for expression in expressions)
    assert done.ledger["accepted"] == done.document["plugins"]["sizes"]["packets"] == expected
    assert done.ledger["dropped_by"] == {"filter": len(expressions) * sent - expected}
    assert done.document["totals"]["bytes"] == len(expressions) * sum(packet.wire for packet in packets)
