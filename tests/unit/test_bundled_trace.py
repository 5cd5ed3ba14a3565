"""What the bundled trace promises, proved by dpkt and tshark, which know nothing of zcframe."""

from __future__ import annotations

import functools
import ipaddress
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit.places import ROOT
from zcframe.framework.errors import CaptureFileError
from zcframe.framework.sources import trace
from zcframe.framework.sources.trace import bundled_trace

MAX_BYTES = 2_000_000
MAX_FRAME = 1514
SYN, ACK = dpkt.tcp.TH_SYN, dpkt.tcp.TH_ACK
ECHO_REQUEST, ECHO_REPLY, ECHO6_REQUEST, ECHO6_REPLY = 8, 0, 128, 129
TEST_NETWORKS = ("10.82.0.0/16", "2001:db8:82::/48", "fe80::/10", "ff00::/8", "::/128")


@functools.cache
def frames() -> list[dpkt.ethernet.Ethernet]:
    with bundled_trace().open("rb") as file:
        return [dpkt.ethernet.Ethernet(frame) for _, frame in dpkt.pcapng.Reader(file)]


def segments(kind: type[Any]) -> Iterator[tuple[Any, Any]]:
    """(IP packet, its payload) wherever that is of the kind."""
    for frame in frames():
        ip = frame.data
        if isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) and isinstance(ip.data, kind):
            yield ip, ip.data


def tshark(display_filter: str, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """Field values of every packet that matches."""
    command = ["tshark", "-n", "-r", str(bundled_trace()), *options, "-Y", display_filter, "-T", "fields"]
    for name in ("frame.number", *fields):
        command += ["-e", name]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 0, found.stderr
    return [line.split("\t")[1:] for line in found.stdout.splitlines()]


def tags_of(frame: dpkt.ethernet.Ethernet) -> list[int]:
    return [tag.id for tag in getattr(frame, "vlan_tags", [])]


def is_v4_fragment(ip: Any) -> bool:
    return isinstance(ip, dpkt.ip.IP) and bool(ip.mf or ip.offset)


def is_v6_fragment(ip: Any) -> bool:
    return isinstance(ip, dpkt.ip6.IP6) and dpkt.ip.IP_PROTO_FRAGMENT in ip.extension_hdrs


def conversations() -> dict[Any, set[Any]]:
    """Which directions were seen of each TCP and UDP conversation."""
    seen: dict[Any, set[Any]] = defaultdict(set)
    for ip, segment in (*segments(dpkt.tcp.TCP), *segments(dpkt.udp.UDP)):
        ends = (ip.src, segment.sport), (ip.dst, segment.dport)
        seen[ip.p, *sorted(ends)].add(ends)
    return seen


def test_size_and_number() -> None:
    assert bundled_trace().stat().st_size <= MAX_BYTES
    assert len(frames()) >= 8_000
    assert len(conversations()) >= 500


def test_every_frame_fits_ethernet() -> None:
    lengths = [len(bytes(frame)) for frame in frames()]
    assert max(lengths) == MAX_FRAME
    assert lengths.count(MAX_FRAME) >= 50


def test_one_ethernet_interface_whole_packets() -> None:
    with bundled_trace().open("rb") as file:
        assert dpkt.pcapng.Reader(file).datalink() == dpkt.pcap.DLT_EN10MB


def test_addresses_are_of_test_networks() -> None:
    allowed = [ipaddress.ip_network(network) for network in TEST_NETWORKS]
    for frame in frames():
        if isinstance(frame.data, dpkt.ip.IP | dpkt.ip6.IP6):
            for packed in (frame.data.src, frame.data.dst):
                address = ipaddress.ip_address(packed)
                assert any(address in network for network in allowed), address


def test_web_over_plain_tcp_and_both_ip_versions() -> None:
    requests: Counter[tuple[int, bytes]] = Counter()
    for ip, tcp in segments(dpkt.tcp.TCP):
        if tcp.dport == 80 and tcp.data.startswith(b"GET "):
            requests[ip.v, tcp.data.split()[1]] += 1
    assert {path for version, path in requests if version == 4} >= {b"/index.html", b"/app.js", b"/archive.bin"}
    assert sum(n for (version, _), n in requests.items() if version == 6) >= 20


def test_dns_types_and_codes_over_udp_and_tcp() -> None:
    kinds: set[int] = set()
    codes: set[int] = set()
    over_tcp = 0
    for _, udp in segments(dpkt.udp.UDP):
        if udp.sport == 53:
            answer = dpkt.dns.DNS(udp.data)
            codes.add(answer.rcode)
            kinds.update(question.type for question in answer.qd)
    for _, tcp in segments(dpkt.tcp.TCP):
        over_tcp += tcp.sport == 53 and len(tcp.data) > 2
    assert {dpkt.dns.DNS_A, dpkt.dns.DNS_AAAA, dpkt.dns.DNS_MX, dpkt.dns.DNS_TXT, dpkt.dns.DNS_PTR} <= kinds
    assert {dpkt.dns.DNS_RCODE_NOERR, dpkt.dns.DNS_RCODE_NXDOMAIN} <= codes
    assert over_tcp >= 20


def test_ping_both_ip_versions() -> None:
    kinds = Counter(icmp.type for _, icmp in segments(dpkt.icmp.ICMP))
    kinds6 = Counter(icmp.type for _, icmp in segments(dpkt.icmp6.ICMP6))
    assert kinds[ECHO_REQUEST] >= 20 and kinds[ECHO_REPLY] >= 20
    assert kinds6[ECHO6_REQUEST] >= 20 and kinds6[ECHO6_REPLY] >= 20


def test_single_and_double_vlan_tags() -> None:
    tags = Counter(tuple(tags_of(frame)) for frame in frames())
    assert set(tags) == {(), (100,), (200, 30)}
    for one in ((100,), (200, 30)):
        tagged = [frame.data for frame in frames() if tuple(tags_of(frame)) == one]
        protocols = Counter(ip.p for ip in tagged if isinstance(ip, dpkt.ip.IP))
        assert protocols[dpkt.ip.IP_PROTO_ICMP] >= 20 and protocols[dpkt.ip.IP_PROTO_TCP] >= 40


def test_fragments_of_icmp_and_udp_both_ip_versions() -> None:
    packets = [frame.data for frame in frames()]
    kinds = Counter((4, ip.p) for ip in packets if is_v4_fragment(ip))
    kinds.update((6, ip.extension_hdrs[dpkt.ip.IP_PROTO_FRAGMENT].nxt) for ip in packets if is_v6_fragment(ip))
    assert set(kinds) == {(4, 1), (4, 17), (6, 58), (6, 17)}
    assert min(kinds.values()) >= 12


def test_port_scan() -> None:
    refused: dict[Any, set[int]] = defaultdict(set)
    for ip, tcp in segments(dpkt.tcp.TCP):
        if tcp.flags & dpkt.tcp.TH_RST and tcp.flags & ACK:
            refused[ip.dst].add(tcp.sport)
    assert sorted(len(ports) for ports in refused.values() if len(ports) > 100) >= [140, 1000]


def test_syn_flood_without_answers() -> None:
    sources, answered = defaultdict(set), set()
    for ip, tcp in segments(dpkt.tcp.TCP):
        if tcp.flags & (SYN | ACK) == SYN:
            sources[ip.dst].add(ip.src)
        else:
            answered.add(ip.src)
    flooded = {target: hosts for target, hosts in sources.items() if len(hosts) >= 250}
    assert len(flooded) == 1
    assert not flooded.keys() & answered


def test_one_sided_flows() -> None:
    one_sided = [key for key, seen in conversations().items() if len(seen) == 1]
    udp_ports = {end[1] for proto, *ends in one_sided if proto == 17 for end in ends}
    assert {514, 2055} <= udp_ports
    # TCP of which the recorded link carries data in one direction only, requests as well as answers.
    lonely = set(one_sided)
    requests = answers = 0
    for ip, tcp in segments(dpkt.tcp.TCP):
        if tcp.data and (ip.p, *sorted([(ip.src, tcp.sport), (ip.dst, tcp.dport)])) in lonely:
            requests += tcp.dport == 80
            answers += tcp.sport == 80
    assert requests >= 16 and answers >= 4


@pytest.mark.needs("tshark")
def test_tshark_sees_tls_with_our_name_only() -> None:
    names = {name for (name,) in tshark("tls.handshake.extensions_server_name", "tls.handshake.extensions_server_name")}
    assert names == {"www.zcframe.test"}
    # TLS 1.2 shows the certificate, TLS 1.3 hides it.
    certified = {name for (name,) in tshark("x509sat.uTF8String", "x509sat.uTF8String")}
    assert {part for names in certified for part in names.split(",")} == {"www.zcframe.test"}
    assert len(tshark("tls.handshake.extensions.supported_version == 0x0304 && tls.handshake.type == 2")) >= 10
    assert len(tshark("tls.app_data")) >= 50
    assert len(tshark("tls.app_data && ipv6")) >= 10


@pytest.mark.needs("tshark")
def test_tshark_finds_every_checksum_right() -> None:
    layers = ("ip", "tcp", "udp", "icmp", "icmpv6")
    checks = tuple(option for layer in layers[:3] for option in ("-o", f"{layer}.check_checksum:TRUE"))
    bad = " || ".join(f"{layer}.checksum.status == 0" for layer in layers)
    # An ICMP error quotes a packet, cut short: the quoted checksum cannot be right.
    assert tshark(f"({bad}) && !icmp.type == 3", "_ws.col.Info", options=checks) == []
    good = tshark("tcp.checksum.status == 1", options=checks)
    assert len(good) >= 5_000


@pytest.mark.needs("tshark")
def test_tshark_finds_truncated_dns_asked_again_over_tcp() -> None:
    assert len(tshark("dns.flags.truncated == 1 && udp.srcport == 53")) >= 1
    answers = tshark("dns.flags.response == 1 && tcp.srcport == 53 && dns.txt.length > 200", "dns.qry.name")
    assert ["long.zcframe.test"] in answers


@pytest.mark.needs("tshark")
def test_tshark_counts_the_same_frames_and_dissects_them_all() -> None:
    assert len(tshark("frame")) == len(frames())
    assert tshark("_ws.malformed && !icmp") == []


def test_a_missing_trace_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "FILE_NAME", "gone.pcapng")
    with pytest.raises(CaptureFileError, match=r"gone\.pcapng.*--read"):
        bundled_trace()


def test_the_recording_script_says_what_it_needs(tmp_path: Path) -> None:
    out = tmp_path / "new.pcapng"
    environment = {"PATH": str(tmp_path)}
    command = [sys.executable, "-m", "tests.tools.trace.record", str(out)]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert re.fullmatch(r"record\.py: (.* root: .*sudo|.*apt-get install .*nginx-light.*)\n", said.stderr)
    assert not out.exists()
