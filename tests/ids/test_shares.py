"""Several instances of Suricata, each with its share of the attack trace, against one that reads all of it."""

from __future__ import annotations

import os
import random
import zlib
from collections import Counter
from pathlib import Path

import dpkt
import pytest

from tests.ids.trace import Timed, attack_trace, sweep
from tests.kit.sharing import Chooser, chooser
from tests.kit.suricata import Alert, Instance, Report, run

RULES = Path(__file__).with_name("own.rules")
SIDS = {int(line.split("sid:")[1].split(";")[0]) for line in RULES.read_text().splitlines() if "sid:" in line}
QUIET = {int(line.split("sid:")[1].split(";")[0]) for line in RULES.read_text().splitlines() if "noalert" in line}
# Of these, alerts need more than one flow of two hosts.
ACROSS_FLOWS = {9000011, 9000017, 9000018, 9000020, 9000021, 9000025, 9000027, 9000028, 9000030}
IN_FRAGMENTS = {9000013, 9000014, 9000015, 9000016}

pytestmark = pytest.mark.needs("suricata")


def write(frames: list[Timed], path: Path) -> Path:
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=65535)
        for time, frame in frames:
            writer.writepkt(frame, time)
    return path


@pytest.fixture(scope="module")
def trace() -> list[Timed]:
    return attack_trace()


@pytest.fixture(scope="module")
def truth(trace: list[Timed], tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one instance finds in the whole file."""
    folder = tmp_path_factory.mktemp("truth")
    return run(write(trace, folder / "all.pcap"), RULES, folder / "log")


def shared(trace: list[Timed], share_of: Chooser, count: int, folder: Path) -> list[Report]:
    """What each of `count` instances finds in its share."""
    parts: list[list[Timed]] = [[] for _ in range(count)]
    for timed in trace:
        parts[share_of(timed.frame)].append(timed)
    return [run(write(part, folder / f"{share}.pcap"), RULES, folder / str(share)) for share, part in enumerate(parts)]


def alerts(reports: list[Report]) -> frozenset[Alert]:
    return frozenset().union(*(report.alerts for report in reports))


def test_the_truth_has_an_alert_of_each_rule(trace: list[Timed], truth: Report) -> None:
    assert truth.sids == SIDS - QUIET
    assert truth.decoded == len(trace)
    assert truth.stats["decoder"]["invalid"] == 0
    counts = Counter(alert.sid for alert in truth.alerts)
    assert min(counts.values()) >= 5, counts


def test_the_trace_is_the_same_one_every_time(trace: list[Timed]) -> None:
    assert len(trace) > 5000
    assert trace == attack_trace()


@pytest.mark.parametrize("shares", ["2", "3", "1:3"])
def test_by_ip_pair_the_alerts_are_the_same(trace: list[Timed], truth: Report, tmp_path: Path, shares: str) -> None:
    count = int(shares) if shares.isdigit() else 2
    reports = shared(trace, chooser("ip-pair", shares), count, tmp_path)
    assert alerts(reports) == truth.alerts
    assert sum(report.decoded for report in reports) == len(trace)
    # No share is idle, no flow is cut in two, every datagram is whole.
    assert all(report.alerts for report in reports)
    assert sum(report.flows for report in reports) == truth.flows
    assert sum(report.one_sided for report in reports) == truth.one_sided
    assert sum(report.reassembled for report in reports) == truth.reassembled


def by_source(frame: bytes) -> int:
    """A directional hash: of the source address."""
    at = 18 if frame[12:14] == b"\x81\0" else 14
    return zlib.crc32(frame[at + 12 : at + 16] if frame[at] >> 4 == 4 else frame[at + 8 : at + 24]) % 2


def naive_5_tuple(frame: bytes) -> int:
    """Symmetric, by the ports that dpkt sees: those of a first fragment, too."""
    ip = dpkt.ethernet.Ethernet(frame).data
    later = isinstance(ip, dpkt.ip.IP) and ip.offset > 0
    later = later or (isinstance(ip, dpkt.ip6.IP6) and any(head.frag_off for head in ip.all_extension_headers))
    ports = () if later or not hasattr(ip.data, "sport") else (ip.data.sport, ip.data.dport)
    ends = sorted(zip((ip.src, ip.dst), ports or (0, 0), strict=True))
    return zlib.crc32(repr(ends).encode()) % 2


def lost(trace: list[Timed], truth: Report, share_of: Chooser, folder: Path) -> tuple[set[int], list[Report]]:
    """Rules of which alerts are missing."""
    reports = shared(trace, share_of, 2, folder)
    return {alert.sid for alert in truth.alerts - alerts(reports)}, reports


def test_a_directional_hash_loses_alerts(trace: list[Timed], truth: Report, tmp_path: Path) -> None:
    sids, reports = lost(trace, truth, by_source, tmp_path)
    assert {9000001, 9000023, 9000024} <= sids
    assert sum(report.one_sided for report in reports) > truth.one_sided + 1000


def test_a_5_tuple_that_is_naive_about_fragments_loses_alerts(
    trace: list[Timed], truth: Report, tmp_path: Path
) -> None:
    sids, reports = lost(trace, truth, naive_5_tuple, tmp_path)
    assert IN_FRAGMENTS - {9000015} <= sids
    assert sids >= ACROSS_FLOWS
    assert sum(report.reassembled for report in reports) < truth.reassembled


def test_our_5_tuple_loses_what_looks_across_flows(trace: list[Timed], truth: Report, tmp_path: Path) -> None:
    """As docs/sharing.md says; datagrams in fragments it keeps whole."""
    sids, reports = lost(trace, truth, chooser("5-tuple", "2"), tmp_path)
    assert sids >= ACROSS_FLOWS
    assert not {9000013, 9000014, 9000015} & sids
    assert sum(report.reassembled for report in reports) == truth.reassembled


def test_through_fifos_as_from_files(trace: list[Timed], truth: Report, tmp_path: Path) -> None:
    share_of = chooser("ip-pair", "2")
    fifos = [tmp_path / f"{share}.pcap" for share in range(2)]
    for fifo in fifos:
        os.mkfifo(fifo)
    instances = [Instance(fifo, RULES, tmp_path / fifo.stem) for fifo in fifos]
    for share, fifo in enumerate(fifos):
        write([timed for timed in trace if share_of(timed.frame) == share], fifo)
    assert alerts([instance.finish() for instance in instances]) == truth.alerts


SWEEP = 'alert tcp any any -> any 23 (msg:"sweep"; flags:S; threshold:type both,track by_src,count 50,seconds 60; sid:9000099;)'


def test_a_sweep_over_many_hosts_is_seen_by_no_share(tmp_path: Path) -> None:
    """As docs/sharing.md says: a rule that counts over hosts has its packets in several shares."""
    rules = tmp_path / "sweep.rules"
    rules.write_text(SWEEP)
    frames = sweep(random.Random(1))
    assert len(run(write(frames, tmp_path / "all.pcap"), rules, tmp_path / "all").alerts) == 1
    parts = [[timed for timed in frames if chooser("ip-pair", "2")(timed.frame) == share] for share in range(2)]
    for share, part in enumerate(parts):
        assert not run(write(part, tmp_path / f"{share}.pcap"), rules, tmp_path / str(share)).alerts
