"""An instance of Suricata that takes less than it is offered, behind an output that sheds flows: all is accounted for."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_outputs import check_ledger
from tests.ids.test_shares import ACROSS_FLOWS, RULES, write
from tests.ids.trace import Hosts, Timed, attack_trace, datagram
from tests.kit.command import Background, until
from tests.kit.suricata import Alert, Ends, Instance, Report, ends_of, run

pytestmark = pytest.mark.needs("suricata")

KEEP = 2
# Two flows that have more than half of all bytes, as many as several rings of 1 MiB hold.
ELEPHANTS, SIZE = 3000, 500
# A ring fills within a second.
PPS = 6000
PORTS_OF_FRAGMENTS = (6000, 7000)
NOTHING = "ether proto 0xffff"


def with_elephants() -> list[Timed]:
    """The attack trace, and beside it, all the time, two flows of much data."""
    dice, trace = random.Random(14), attack_trace()
    first, seconds = trace[0].time, trace[-1].time - trace[0].time
    for number in range(ELEPHANTS):
        hosts = Hosts(IPv4Address(f"10.77.0.{1 + number % 2}").packed, IPv4Address("10.78.0.1").packed)
        time = first + seconds * number / ELEPHANTS
        trace.append(Timed(time, datagram(dice, hosts, (5000, 5001), bytes(SIZE))))
    return sorted(trace, key=lambda timed: timed.time)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(with_elephants(), tmp_path_factory.mktemp("trace") / "all.pcap")


@pytest.fixture(scope="module")
def truth(capture: Path) -> Report:
    """What one instance finds in the whole file."""
    return run(capture, RULES, capture.with_name("truth"))


def reads(process: int, inode: int) -> bool:
    """Whether a process has opened a file, whatever that is called by now."""
    found = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(link.stat().st_ino)
    return inode in found


def overloaded(capture: Path, folder: Path, mode: str) -> tuple[Report, dict[str, Any]]:
    """What an instance finds that stands still from before the first frame until flows are shed, and the document."""
    fifo, gate = folder / "x", folder / "gate"
    source = ("run", "--json", "--stats-interval", 0.05, "--read", capture, "--pps", PPS, "--queues", 1, "--drain", 60)
    outs = (f"fifo:{fifo},buffer=1,shed={mode},keep={KEEP}", f"fifo:{gate},filter={NOTHING}")
    with Background(folder, *source, "--plugin", "sizes", "--out", *outs) as run:
        until(lambda: fifo.exists() and gate.exists())
        inode = fifo.stat().st_ino
        with contextlib.closing(Instance(fifo, RULES, folder / "log")) as engine:
            until(lambda: reads(engine.process.pid, inode))
            engine.process.send_signal(signal.SIGSTOP)
            # Nothing flows before the last output has its reader.
            fd = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
            run.wait_until(lambda: any(row(tick)["shed"].get(mode) for tick in run.ticks()), "flows that are shed")
            engine.process.send_signal(signal.SIGCONT)
            done = run.finish()
            os.close(fd)
            found = engine.finish()
    assert done.code == 0, done
    check_ledger(done.document)
    return found, row(done.document)


def row(document: dict[str, Any]) -> dict[str, Any]:
    """That of the instance."""
    found: dict[str, Any] = document["outputs"][0]["shares"][0]
    return found


def of_flows(alerts: frozenset[Alert], flows: set[Ends]) -> set[Alert]:
    """Alerts on these flows, of rules that look at no other one."""
    return {alert for alert in alerts if ends_of(alert) in flows and alert.sid not in ACROSS_FLOWS}


@pytest.mark.parametrize("mode", ["new", "elephants"])
def test_what_an_engine_is_spared_is_counted_to_the_frame(
    capture: Path, truth: Report, tmp_path: Path, mode: str
) -> None:
    found, counts = overloaded(capture, tmp_path, mode)
    dropped = sum(counts["dropped"].values())
    assert counts["dropped"].keys() <= {"ring_full"} and counts["shed"].keys() == {mode}
    assert counts["offered"] == truth.decoded
    assert counts["shed"][mode] + dropped + found.decoded == truth.decoded
    assert counts["shed"][mode] > 0 and found.stats["decoder"]["invalid"] == 0
    check_flows(found, truth, mode, dropped)
    kept = {flow for flow, packets in truth.packets.items() if found.packets[flow] == packets}
    assert of_flows(found.alerts, kept) == of_flows(truth.alerts, kept) != set()


def check_flows(found: Report, truth: Report, mode: str, dropped: int) -> None:
    """No flow has more packets than it had, and what is missing behind the first ones of a flow found no room."""
    assert not found.packets - truth.packets
    if mode == "new":
        parts = {flow: packets for flow, packets in found.packets.items() if KEEP < packets < truth.packets[flow]}
        missing = {flow: truth.packets[flow] - packets for flow, packets in parts.items() if not in_fragments(flow)}
        assert sum(missing.values()) <= dropped, missing


def in_fragments(flow: Ends) -> bool:
    """Whether some of its packets are: these have no ports, and so are another flow's."""
    return any(port in PORTS_OF_FRAGMENTS for _, port in flow[0])
