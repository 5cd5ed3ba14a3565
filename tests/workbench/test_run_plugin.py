"""zcframe.testing: what a plugin makes of packets in one process is what a run makes of them, and what dpkt finds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from tests.kit.command import zcframe
from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import read_capture
from zcframe import DROP, PASS, Array, Param, plugin, u64
from zcframe.framework.errors import CaptureFileError, PluginSpecError
from zcframe.testing import ethernet, ip, run_plugin, tcp, udp, write_capture

PORTS = str(ROOT / "examples" / "plugins" / "ports.py")


@plugin
class Sample:
    """Counts by protocol, keeps the latest time, drops a port and raises for another."""

    port = Param(53, "that is dropped", minimum=0, maximum=65535)
    protocols = Array(u64, 256)
    latest = Array(u64.max, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.dport == 47111:
            raise ValueError("no such port")
        state.protocols[pkt.proto] += 1
        state.latest[0] = max(state.latest[0], pkt.ts)
        return DROP if pkt.dport == params.port else PASS

    @staticmethod
    def report(merged: Any, params: Any) -> dict[str, Any]:
        counts = {str(n): int(count) for n, count in enumerate(merged.protocols) if count}
        return {"protocols": counts, "latest": int(merged.latest[0])}

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        return [f"{len(report['protocols'])} protocols"]


@pytest.mark.parametrize("queues", [1, 3, 8])
def test_a_capture_gives_what_dpkt_finds(queues: int) -> None:
    result = run_plugin(Sample, BUNDLED, queues)
    frames = read_capture(BUNDLED)
    found = [dpkt.ethernet.Ethernet(frame.data).data for frame in frames]
    icmp = sum(isinstance(data, dpkt.ip.IP) and data.p == dpkt.ip.IP_PROTO_ICMP for data in found)
    assert result.report["protocols"]["1"] == icmp > 0
    assert abs(result.report["latest"] - max(frame.ts for frame in frames)) < 1000  # dpkt has floats
    assert result.verdicts.total == len(frames) == sum(result.report["protocols"].values())
    assert (result.faults, result.lines) == ((), [f"{len(result.report['protocols'])} protocols"])


@pytest.mark.parametrize("spec", ["flows?top=5", "sizes", f"{PORTS}?block=53"])
def test_the_report_is_that_of_a_run(spec: str) -> None:
    document = zcframe("run", "--json", "--read", BUNDLED, "--queues", "2", "--plugin", spec).document
    (report,) = document["plugins"].values()
    result = run_plugin(spec, BUNDLED, 2)
    assert result.report == report
    assert result.verdicts.dropped == sum(document["totals"]["ledger"]["dropped_by"].values())


def test_packets_of_all_kinds(tmp_path: Path) -> None:
    built = [
        udp(dport=53),
        (7_000_000_000, tcp(dport=80)),
        IP(dst="10.0.0.9") / UDP(dport=53),
        Ether() / IPv6() / TCP(),
    ]
    result = run_plugin(Sample, built)
    assert result.report["protocols"] == {"6": 2, "17": 2}
    assert (result.verdicts.passed, result.verdicts.dropped, result.verdicts.faulted) == (2, 2, 0)
    path = write_capture(tmp_path / "built.pcap", built)
    assert [bytes(packet) for packet in rdpcap(str(path))][:2] == [built[0], built[1][1]]  # type: ignore[index]
    assert run_plugin(Sample, path).report == run_plugin(Sample, rdpcap(str(path))).report == result.report


def test_times_are_a_microsecond_apart_from_the_last_one_given() -> None:
    assert run_plugin(Sample, [(5_000, udp()), udp(), udp()]).report["latest"] == 7_000


def test_parameters_are_checked_as_those_of_a_spec() -> None:
    packets = [udp(dport=80), udp(dport=53)]
    assert run_plugin(Sample, packets, params={"port": 80}).verdicts.dropped == 1
    with pytest.raises(PluginSpecError, match="Sample: sample has no parameter prot; did you mean port?"):
        run_plugin(Sample, packets, params={"prot": 80})
    with pytest.raises(PluginSpecError, match="port=70000: a value from 0 to 65535 is needed"):
        run_plugin(Sample, packets, params={"port": 70000})


def test_faults_say_what_was_raised_and_where() -> None:
    result = run_plugin(Sample, [udp(dport=1), udp(dport=47111), udp(dport=2)])
    (fault,) = result.faults
    assert (fault.packets, fault.first.number, result.verdicts.faulted) == (1, 1, 1)
    assert fault.reason.startswith("ValueError: no such port, test_run_plugin.py:")
    assert result.report["protocols"] == {"17": 2}


def test_no_packets_at_all() -> None:
    result = run_plugin(Sample, [])
    assert result.report == {"protocols": {}, "latest": 0}
    assert result.verdicts.total == 0


@pytest.mark.parametrize(
    ("packets", "told"),
    [
        ([1], "a packet is bytes, (ns since the epoch, bytes) or a packet of scapy, not 1"),
        (b"\0" * 60, "packets are a list: [packet] where there is one"),
        ([("1", b"")], "a packet is bytes"),
    ],
)
def test_what_is_no_packet(packets: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        run_plugin(Sample, packets)
    assert told in str(caught.value)


def test_what_is_no_plugin_or_no_capture(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="is not a class marked with @plugin"):
        run_plugin(Counter, [])
    with pytest.raises(CaptureFileError, match="No such file"):
        run_plugin(Sample, tmp_path / "none.pcap")


def test_what_the_author_raises_is_raised() -> None:
    @plugin(name="sample")
    class Broken(Sample):
        protocols, latest, port = Sample.protocols, Sample.latest, Sample.port
        filter = staticmethod(Sample.filter)

        @staticmethod
        def report(merged: Any) -> dict[str, Any]:
            raise KeyError("mine")

    result = run_plugin(Broken, [udp()])
    assert result.state.protocols[17] == 1
    with pytest.raises(KeyError, match="mine"):
        _ = result.report


def test_nothing_is_left_behind() -> None:
    def left() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text()
        return len(os.listdir("/proc/self/fd")), maps.count("/memfd:zc-")

    _, mapped = left()
    # The first run compiles, and opens files for that.
    run_plugin(Sample, [udp()])
    before = left()
    for _ in range(3):
        run_plugin(Sample, BUNDLED, 4)
    assert left() == before
    assert before[1] == mapped


MAKERS: list[Callable[..., bytes]] = [ip, udp, tcp]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("src", "dst"), [("10.1.2.3", "192.0.2.255"), ("2001:db8::1", "fe80::2")])
@pytest.mark.parametrize("payload", [b"", b"odd", bytes(range(256)) * 5])
def test_frames_are_what_scapy_builds(make: Callable[..., bytes], src: str, dst: str, payload: bytes) -> None:
    frame = make(payload, src=src, dst=dst, ttl=9, vlan=7)
    parsed = Ether(frame)
    assert parsed.vlan == 7
    layer = parsed[IPv6] if ":" in src else parsed[IP]
    assert (layer.src, layer.dst) == (src, dst)
    for name in ("chksum", "len", "plen", "ihl", "dataofs"):
        for part in (parsed.getlayer(number) for number in range(5)):
            if part is not None and name in part.fields:
                del part.fields[name]
    assert raw(parsed) == frame


def test_tcp_flags_are_those_of_dpkt() -> None:
    segment = dpkt.ethernet.Ethernet(tcp(b"x", flags="SA", seq=7, ack=9, window=3, sport=1, dport=2)).data.data
    assert segment.flags == dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK
    assert (segment.seq, segment.ack, segment.win, segment.sport, segment.dport) == (7, 9, 3, 1, 2)
    with pytest.raises(ValueError, match="letters of FSRPAUEC"):
        tcp(flags="X")
    with pytest.raises(ValueError, match="two versions"):
        ip(src="10.0.0.1", dst="::1")


def test_an_ethernet_frame_of_any_type() -> None:
    frame = dpkt.ethernet.Ethernet(ethernet(b"abc", ethertype=0x88CC, src="02:00:00:00:00:07"))
    assert (frame.type, bytes(frame.src)[-1]) == (0x88CC, 7)
