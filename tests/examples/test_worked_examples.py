"""Each of the five finds what tshark finds: in the bundled trace, in a made capture, and in all captures at hand."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.examples.code import lines_of_code
from tests.examples.made import client_hello, frame, made
from tests.examples.segments import ACK, SYN, Segment, nanoseconds, segments
from tests.kit.command import zcframe
from tests.kit.places import BUNDLED, ROOT
from zcframe.testing import run_plugin, write_capture

EXAMPLES = ROOT / "examples" / "plugins"
# Example -> lines of code that it may have, and parameters with which it reports all that it has.
LINES = {"tls_names": 30, "handshakes": 25, "scans": 20, "beacons": 20, "http": 25}
ALL = {"tls_names": {"top": 10**6}, "scans": {"targets": 1}, "beacons": {"gaps": 2, "jitter": 1e9}, "handshakes": {}}
# Captures with most of what the five look for.
TELLING = (
    "443-firefox.pcap", "avast.pcap", "codm.pcap", "ethereum.pcap", "instagram.pcap",
    "ocs.pcap", "protobuf.pcap", "sccp_hw_conf_register.pcapng", "sites.pcapng", "synscan.pcap",
    "tls_port_80.pcapng",
)  # fmt: skip
WITH_REQUESTS = ("instagram.pcap", "ocs.pcap", "quickplay.pcap")
# Distinct is exact up to 32; this is 4 times its standard error, which one count of 16,000 exceeds.
EXACT, ERROR = 32, 4 * 0.0325


def report(name: str, path: Path, queues: int = 2) -> dict[str, Any]:
    """What an example reports of a capture, with all that it has."""
    result = run_plugin(f"{EXAMPLES / name}.py", path, queues, params=ALL[name])
    assert not result.faults
    assert result.report.get("lost") == 0
    found: dict[str, Any] = result.report
    return found


def names_of(found: Sequence[Segment]) -> set[tuple[int, str]]:
    """Connections with server names that are not in SOCKS, behind a PROXY header or in OpenVPN."""
    return {(one.stream, one.server_name) for one in found if one.layers.startswith("tcp:tls") and one.server_name}


def check_names(path: Path, found: Sequence[Segment]) -> None:
    # tshark dissects no ClientHello whose end is in the next segment (apart), or is not in the capture (joined).
    names = names_of(found) | names_of(segments(path, apart=True))
    assert report("tls_names", path)["top"] == Counter(name for _, name in names)


def times_by_port(found: Sequence[Segment]) -> dict[int, list[int]]:
    """Nanoseconds from SYN to the first SYN-ACK by server port, as tshark has them, where the SYN was sent once before."""
    asked, answered, times = Counter[tuple[int, int]](), set(), defaultdict(list)
    for one in found:
        if one.kind == SYN:
            asked[one.stream, one.seq] += 1
        elif one.kind == SYN | ACK:
            handshake = one.stream, (one.ack - 1) % (1 << 32)
            if asked[handshake] == 1 and handshake not in answered:
                # tshark leaves a time of 0 out.
                times[one.sport].append(nanoseconds(one.rtt or "0"))
            answered.add(handshake)
    return times


def check_handshakes(path: Path, found: Sequence[Segment]) -> None:
    ports = report("handshakes", path)["ports"]
    times = times_by_port(found)
    assert {int(port): row["handshakes"] for port, row in ports.items()} == {
        port: len(ns) for port, ns in times.items()
    }
    for port, ns in times.items():
        for key, q in (("p50_ms", 0.5), ("p99_ms", 0.99)):
            exact = float(np.quantile(ns, q, method="inverted_cdf")) / 1e6
            assert ports[str(port)][key] == pytest.approx(exact, rel=1 / 16)


def check_scans(path: Path, found: Sequence[Segment]) -> None:
    asked = defaultdict(list)
    for one in found:
        if one.flags & (SYN | ACK) == SYN:
            asked[one.src].append((one.dst, one.dport))
    scans = report("scans", path)["scans"]
    assert scans.keys() == asked.keys()
    for host, targets in asked.items():
        exact = {
            "targets": len(set(targets)),
            "hosts": len({dst for dst, _ in targets}),
            "ports": len({port for _, port in targets}),
        }
        for key, count in exact.items():
            assert scans[host][key] == (count if count <= EXACT else pytest.approx(count, rel=ERROR))


def gaps_by_pair(found: Sequence[Segment]) -> dict[tuple[str, str, int], list[int]]:
    """Microseconds between connections of a client to a server's port."""
    last: dict[tuple[str, str, int], Segment] = {}
    gaps = defaultdict(list)
    for one in found:
        pair = one.src, one.dst, one.dport
        before = last.get(pair)
        if one.flags & (SYN | ACK) == SYN and (before is None or before.seq != one.seq):
            if before:
                gaps[pair].append((one.ts - before.ts) // 1000)
            last[pair] = one
    return gaps


def check_beacons(path: Path, found: Sequence[Segment]) -> None:
    gaps = {pair: us for pair, us in gaps_by_pair(found).items() if len(us) >= 2 and sum(us) > 0}
    beacons = {(row["client"], row["server"], row["port"]): row for row in report("beacons", path)["beacons"]}
    assert beacons.keys() == gaps.keys()
    for pair, us in gaps.items():
        assert beacons[pair]["gaps"] == len(us)
        assert beacons[pair]["seconds"] == pytest.approx(np.mean(us) / 1e6)
        assert beacons[pair]["jitter"] == pytest.approx(np.std(us) / np.mean(us), abs=1e-9)


CHECKS = (check_names, check_handshakes, check_scans, check_beacons)


@pytest.fixture(scope="session")
def made_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("made") / "made.pcap", made())


@pytest.mark.parametrize("name", LINES)
def test_lines(name: str) -> None:
    """Lines of code: without docstrings, comments, imports and blank lines."""
    assert lines_of_code((EXAMPLES / f"{name}.py").read_text()) <= LINES[name]


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("check", CHECKS)
def test_bundled(check: Any) -> None:
    check(BUNDLED, segments(BUNDLED))


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("check", CHECKS)
def test_made(check: Any, made_capture: Path) -> None:
    found = segments(made_capture)
    assert len(found) == len(made())
    check(made_capture, found)


@pytest.mark.long
@pytest.mark.needs("tshark", "captures")
def test_captures(captures: Path, request: pytest.FixtureRequest) -> None:
    """Those that tell most; with --whole all."""
    every = sorted(captures.glob("*.pcap*"))
    assert {path.name for path in every} >= set(TELLING)
    for path in every:
        if request.config.getoption("whole") or path.name in TELLING:
            for check in CHECKS:
                check(path, segments(path))


@pytest.mark.parametrize("name", ALL)
def test_queues(name: str, made_capture: Path) -> None:
    one = report(name, made_capture, 1)
    assert report(name, made_capture, 2) == report(name, made_capture, 8) == one


def test_names_that_are_cut() -> None:
    """A ClientHello that is cut anywhere shows its name whole or not at all, and one in two segments shows it."""
    hello = client_hello("www.example.org")
    end = hello.index(b"www.example.org") + len("www.example.org")

    def part(port: int, data: bytes, at: int = 0) -> bytes:
        return frame("192.0.2.1", "198.51.100.1", data, sport=port, dport=443, flags="A", seq=7 + at)

    cut = [part(1 + length, hello[:length]) for length in range(len(hello) + 1)]
    split = []
    for length in range(1, len(hello)):
        syn = frame("192.0.2.1", "198.51.100.1", sport=5000 + length, dport=443, flags="S", seq=6)
        halves = part(5000 + length, hello[:length]), part(5000 + length, hello[length:], length)
        split += [syn, *(halves if length % 2 else halves[::-1])]
    result = run_plugin(f"{EXAMPLES / 'tls_names'}.py", cut + split)
    assert result.report["top"] == {"www.example.org": len(hello) + 1 - end + len(hello) - 1}
    assert not result.faults


def test_defaults_find_what_is_there(made_capture: Path) -> None:
    """The scans and the beacons of the made capture, and none of what is beside them."""
    found = zcframe("run", "--json", "--read", made_capture, "--plugin", EXAMPLES / "scans.py", EXAMPLES / "beacons.py")
    assert found.code == 0, found
    plugins = found.document["plugins"]
    assert plugins["scans"]["scans"].keys() == {"192.0.2.66", "192.0.2.67", "2001:db8::66"}
    assert {row["client"] for row in plugins["beacons"]["beacons"]} == {"192.0.2.90", "2001:db8::90"}


def check_requests(path: Path, folder: Path) -> int:
    """Compare records in their order, and say how many there are."""
    out = folder / f"{path.name}.json"
    done = zcframe("run", "--read", path, "--plugin", EXAMPLES / "http.py", "--rows", f"json:{out}")
    assert done.code == 0, done
    found = [json.loads(line) for line in out.read_text().splitlines()]
    expected = [one for one in segments(path, apart=True) if one.method]
    assert [(row["ts"], row["src"], row["dst"], row["port"], row["method"], row["path"]) for row in found] == [
        (one.ts, one.src, one.dst, one.dport, one.method, one.uri) for one in expected
    ]
    return len(found)


@pytest.mark.needs("tshark")
def test_requests(made_capture: Path, tmp_path: Path) -> None:
    """(tests/e2e/test_examples.py does so for the bundled trace.)"""
    assert check_requests(made_capture, tmp_path) == 8


@pytest.mark.long
@pytest.mark.needs("tshark", "captures")
def test_requests_of_captures(captures: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """In those with most requests; with --whole in all but the one whose bits were flipped."""
    every = [path for path in sorted(captures.glob("*.pcap*")) if not path.name.startswith("fuzz-")]
    assert {path.name for path in every} >= set(WITH_REQUESTS)
    for path in every:
        if request.config.getoption("whole") or path.name in WITH_REQUESTS:
            check_requests(path, tmp_path)
