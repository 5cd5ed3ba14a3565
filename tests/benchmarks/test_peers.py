"""The peers do the same job: same file, same packets, same flows; and the mix is what it says."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import dpkt
import pytest

from benchmarks import mix
from benchmarks.bench import Bench, run_counter
from benchmarks.blocks import load_blocks
from benchmarks.chain import FLOWS, SIZES, SYNS, TALKERS, CChain
from benchmarks.peers import flows_dpkt, flows_scapy
from benchmarks.peers.flow_count import FlowCount, Key, flow_key
from benchmarks.table import BEGIN, END, SECTION, Row, render, write_section
from zcframe.framework import abi
from zcframe.framework.sources.trace import bundled_trace

MIX_MEGABYTES = 3
# What tshark puts into a conversation and we do not: reassembled fragments, packets quoted in an ICMP error.
WHOLE = "!(ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr || icmp)"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), MIX_MEGABYTES)


def capture_of(bench: Bench, name: str) -> Path:
    return bundled_trace() if name == "trace" else bench.mix(renumber=name == "renumbered").path


def packed(end: str) -> bytes:
    """The address of "address:port", IPv6 without brackets."""
    address = end.rpartition(":")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def c_flows(bench: Bench, capture: Path, *options: str) -> tuple[Any, dict[Key, list[int]]]:
    """What the C program prints: its figures and its flows."""
    program = bench.compile("flows_libpcap.c", *options, libraries=("-lpcap",))
    printed = subprocess.run([program, capture, "list"], capture_output=True, text=True, check=True).stdout
    flows = {}
    for line in printed.splitlines()[1:]:
        proto, a, a_port, b, b_port, packets, volume = line.split()
        key = flow_key(int(proto), packed(f"{a}:"), packed(f"{b}:"), int(a_port), int(b_port))
        flows[key] = [int(packets), int(volume)]
    return run_counter(str(program), str(capture)), flows


def clean_frames(capture: Path) -> list[bytes]:
    with capture.open("rb") as file:
        return [frame for _, frame in dpkt.pcap.UniversalReader(file)]


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("options", [(), ("-DREAD_BUFFER=131072",)])
@pytest.mark.parametrize("peer", [flows_dpkt, flows_scapy])
def test_counters_agree_on_every_flow_of_the_trace(bench: Bench, peer: Any, options: tuple[str, ...]) -> None:
    figures, flows = c_flows(bench, bundled_trace(), *options)
    counted: FlowCount = peer.count(bundled_trace(), 0)
    assert (figures.packets, figures.bytes, figures.flows) == (counted.packets, counted.bytes, len(counted.flows))
    assert flows == counted.flows


@pytest.mark.needs("gcc", "captures")
@pytest.mark.parametrize("name", ["mix", "renumbered"])
def test_c_and_scapy_agree_on_the_mix(bench: Bench, name: str) -> None:
    _, flows = c_flows(bench, capture_of(bench, name))
    counted = flows_scapy.count(capture_of(bench, name), 0)
    assert sum(n for n, _ in flows.values()) == sum(n for n, _ in counted.flows.values())
    assert flows == counted.flows


@pytest.mark.needs("gcc", "tshark")
def test_c_counts_what_tshark_counts(bench: Bench) -> None:
    _, flows = c_flows(bench, bundled_trace())
    for layer, proto in (("tcp", 6), ("udp", 17)):
        command = ["tshark", "-n", "-r", str(bundled_trace()), "-q", "-z", f"conv,{layer},{WHOLE}"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        # One pair of ends may be several conversations to tshark (a port used again): add them up.
        theirs: Counter[Key] = Counter()
        for line in printed.splitlines():
            if "<->" in line:
                ends, frames = line.split()[0:3:2], int(line.split()[9])
                sport, dport = (int(end.rpartition(":")[2]) for end in ends)
                theirs[flow_key(proto, packed(ends[0]), packed(ends[1]), sport, dport)] += frames
        ours = {key: packets for key, (packets, _) in flows.items() if key[0] == proto and key[1][1] + key[2][1]}
        assert theirs == ours


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("name", ["mix", "renumbered"])
def test_the_chain_counts_what_the_counter_counts(bench: Bench, name: str) -> None:
    capture = capture_of(bench, name)
    figures, flows = c_flows(bench, capture)
    blocks = load_blocks(capture, figures.packets)
    chain = CChain(bench, FLOWS | SIZES | TALKERS | SYNS, flow_slots=16)
    chain.run(blocks)
    totals = chain.totals()
    chain.close()
    assert (totals.packets, totals.sized, totals.flows) == (figures.packets, figures.packets, figures.flows)
    assert totals.flow_packets == sum(packets for packets, _ in flows.values())
    assert totals.flow_bytes == sum(volume for _, volume in flows.values())
    assert totals.talker_bytes == 2 * totals.flow_bytes
    assert totals.lost == 0
    syns = 0
    for frame in clean_frames(capture):
        ip = dpkt.ethernet.Ethernet(frame).data
        whole = isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) and isinstance(ip.data, dpkt.tcp.TCP)
        syns += whole and ip.data.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK) == dpkt.tcp.TH_SYN
    assert totals.syns == syns


def test_blocks_hold_the_frames(bench: Bench) -> None:
    capture = bench.mix().path
    frames = clean_frames(capture)
    blocks = load_blocks(capture, len(frames) + 5)
    assert len(blocks) == len(frames)
    for i in (0, 1, len(frames) // 2, len(frames) - 1):
        desc = blocks.descriptors[i]
        assert desc["offset"] == i * abi.BLOCK_SIZE and desc["flag_access"] == abi.ACCESS_READABLE
        assert blocks.memory[desc["offset"] :][: desc["len"]].tobytes() == frames[i]


def test_the_mix_is_the_same_every_time_and_of_the_size_asked(bench: Bench, tmp_path: Path) -> None:
    again = mix.make_mix(tmp_path / "again.pcap", MIX_MEGABYTES)
    assert again.path.read_bytes() == bench.mix().path.read_bytes()
    assert 0 <= MIX_MEGABYTES * 10**6 - again.path.stat().st_size < mix.MAX_FRAME + 16
    assert again.packets == len(clean_frames(again.path))
    assert again.bytes == sum(map(len, clean_frames(again.path)))


def test_every_file_keeps_its_order_in_the_mix() -> None:
    with bundled_trace().open("rb") as file:
        frames = [frame for _, frame in dpkt.pcapng.Reader(file)]
    assert mix.interleaved([bundled_trace()]) == frames


def test_without_captures_the_mix_is_made_of_the_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZCFRAME_CAPTURES", str(tmp_path))
    made = mix.make_mix(tmp_path / "mix.pcap", 5, renumber=True)
    assert made.made_of == "the bundled trace"
    assert made.packets > 20_000


@pytest.mark.needs("tshark")
def test_renumbered_copies_have_flows_of_their_own_and_right_checksums(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZCFRAME_CAPTURES", str(tmp_path))
    one = len(flows_dpkt.count(bundled_trace(), 0).flows)
    made = mix.make_mix(tmp_path / "mix.pcap", 4.6, renumber=True)
    assert made.packets >= 3 * len(clean_frames(bundled_trace()))
    assert len(flows_dpkt.count(made.path, 0).flows) >= 3 * one * 0.99
    checks = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    bad = "(ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0) && !icmp.type == 3"
    command = ["tshark", "-n", "-r", str(made.path), *checks, "-Y", bad]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.needs("nfstream")
def test_nfstream_sees_the_same_traffic() -> None:
    from benchmarks.peers import flows_nfstream

    packets, _, flows = flows_nfstream.count(bundled_trace())
    ours = flows_dpkt.count(bundled_trace(), 0)
    # It leaves out doubly tagged frames and later fragments, and keeps VLANs apart.
    assert abs(flows - len(ours.flows)) <= 0.01 * len(ours.flows)
    assert abs(packets - ours.packets) <= 0.04 * ours.packets


def test_a_missing_compiler_is_named_in_the_row(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks.chain import chain_rows

    monkeypatch.setattr(shutil, "which", lambda name: None)
    (row,) = chain_rows(Bench(tmp_path, MIX_MEGABYTES, 1))
    assert row.verdict == "not measured: gcc is not installed: apt-get install gcc libc6-dev"


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", "Mpps", ours=13.0, peer=10.0, bar=1.3), "met"),
        (Row("a", "Mpps", ours=12.0, peer=10.0, bar=1.5), "missed by 20.0 %"),
        (Row("a", "Mpps", ours=11.0, bar=12.0), "missed by 8.3 %"),
        (Row("a", "s", ours=0.15, bar=0.2, smaller_is_better=True), "met"),
        (Row("a", "s", ours=0.25, bar=0.2, smaller_is_better=True), "missed by 25.0 %"),
        (Row("a", "ns", ours=20.0, peer=10.0, bar=0.8, smaller_is_better=True), "missed by 37.5 %"),
        (Row("a", "Mpps", peer=10.0), ""),
        (Row("a", "ns", ours=36.0, peer=10.0, bar=3.6, smaller_is_better=True, cost=True), "met"),
        (Row("a", "ns", ours=45.0, peer=10.0, bar=3.6, smaller_is_better=True, cost=True), "missed by 25.0 %"),
        (Row("a", "Mpps", bar=2.0, not_measured="no gcc"), "not measured: no gcc"),
    ],
)
def test_verdicts(row: Row, verdict: str) -> None:
    assert row.verdict == verdict
    assert verdict in render([row])


def test_the_section_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    write_section(page, "first")
    page.write_text(page.read_text() + "\nHow to read it.\n")
    write_section(page, "second")
    begin, end = BEGIN.format(SECTION), END.format(SECTION)
    assert page.read_text() == f"# Benchmarks\n\n{begin}\nsecond\n{end}\n\nHow to read it.\n"
