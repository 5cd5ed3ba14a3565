"""The plugins in examples/ run by the command, and what they report is what dpkt and tshark find."""

from __future__ import annotations

import functools
import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit.checks import check_books
from tests.kit.command import Finished, zcframe
from tests.kit.places import BUNDLED, ROOT

EXAMPLES = ROOT / "examples" / "plugins"
SYN_ACK = "tcp.flags.syn == 1 && tcp.flags.ack == 1"


@functools.cache
def run() -> Finished:
    """All examples in one chain; port 53 is dropped, behind which the others see nothing of it."""
    plugins = [EXAMPLES / name for name in ("services.py", "ports.py?block=53")]
    return zcframe("run", "--json", "--queues", "4", "--read", BUNDLED, "--plugin", *plugins)


def report(name: str) -> dict[str, Any]:
    done = run()
    assert done.code == 0, done.stderr
    assert check_books(done.document)["ledger"]["faulted"] == 0
    found: dict[str, Any] = done.document["plugins"][name]
    return found


def tshark(shown: str, *fields: str) -> Iterator[list[str]]:
    """These fields of the frames that match."""
    words = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-n", "-r", str(BUNDLED), "-Y", shown, "-T", "fields", "-E", "separator=,", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (line.split(",") for line in done.stdout.splitlines())


def destination_ports() -> Counter[int]:
    found = Counter[int]()
    with BUNDLED.open("rb") as file:
        for _, data in dpkt.pcapng.Reader(file):
            ip = dpkt.ethernet.Ethernet(data).data
            layer = ip.data if isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) else None
            found[layer.dport if isinstance(layer, dpkt.tcp.TCP | dpkt.udp.UDP) else 0] += 1
    return found


def test_ports() -> None:
    expected = destination_ports()
    assert report("ports") == {str(port): packets for port, packets in expected.most_common(10)}
    assert check_books(run().document)["ledger"]["dropped_by"] == {"ports": expected[53]}


@pytest.mark.needs("tshark")
def test_http(tmp_path: Path) -> None:
    """A record of each request that tshark finds, in its order."""
    out = tmp_path / "requests.json"
    words = ("run", "--json", "--queues", 2, "--read", BUNDLED, "--plugin", EXAMPLES / "http.py")
    done = zcframe(*words, "--rows", f"json:{out}")
    assert done.code == 0, done
    ends = ("ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.dstport", "http.request.method", "http.request.uri")
    expected = [
        {
            "record": "http.requests",
            "ts": int(time.replace(".", "")),
            "src": src4 or src6,
            "dst": dst4 or dst6,
            "port": int(port),
            "method": method,
            "path": uri,
        }
        for time, src4, src6, dst4, dst6, port, method, uri in tshark("http.request", "frame.time_epoch", *ends)
    ]
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert found == expected and len(found) > 300


@pytest.mark.needs("tshark")
def test_services() -> None:
    answers: dict[tuple[str, int], list[int]] = defaultdict(list)
    for v4, v6, port, time in tshark(SYN_ACK, "ip.src", "ipv6.src", "tcp.srcport", "frame.time_epoch"):
        seconds, _, fraction = time.partition(".")
        answers[v4 or v6, int(port)].append(int(seconds + fraction.ljust(9, "0")))
    found = report("services")
    assert (found["count"], found["lost"]) == (len(answers), 0)
    for row in found["services"]:
        times = answers[row["host"], row["port"]]
        assert (row["answers"], row["first_ns"], row["last_ns"]) == (len(times), min(times), max(times))
