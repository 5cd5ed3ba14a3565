"""What the ends of TCP connections sent first, against tshark."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.flow.analyzers import Streams
from tests.kit.followed import End, followed, numbers
from tests.kit.places import BUNDLED
from zcframe import ip_text
from zcframe.testing import run_plugin

LIMIT = 1024
TELLING = ("443-firefox.pcap", "instagram.pcap", "ocs.pcap", "sites.pcapng", "tls_port_80.pcapng")

# A server, or what stands before it, answers a SYN twice, with two sequence numbers; tshark follows the other one.
ANSWERED_TWICE = "KakaoTalk_talk.pcap"

Ends = tuple[End, End]


def streams(path: Path, queues: int) -> dict[Ends, list[tuple[int, bytes, bytes]]]:
    """Of each pair of ends its connections, in order: packets, and what either end sent."""
    result = run_plugin(Streams, path, queues)
    assert not result.faults and not any(result.state.lost.values())
    found = defaultdict(list)
    for row in sorted(result.state.streams, key=lambda row: int(row.began)):
        ends = (ip_text(row.src), int(row.sport)), (ip_text(row.dst), int(row.dport))
        found[ends].append((int(row.packets), row.up, row.down))
    return dict(found)


def check(path: Path) -> int:
    """How many connections with data were compared."""
    telling, ours, theirs = numbers(path), streams(path, 2), defaultdict(list)
    for one in followed(path, telling):
        theirs[frozenset(one)].append({end: sent[:LIMIT] for end, sent in one.items()})
    found = defaultdict(list)
    for (src, dst), connections in ours.items():
        found[frozenset((src, dst))] += [{src: up, dst: down} for _, up, down in connections if up or down]
    for ends, sent in theirs.items():
        assert found[ends] == sent, f"{path.name}: {ends}"
    return len(telling)


@pytest.mark.needs("tshark")
def test_bundled() -> None:
    assert check(BUNDLED) > 100


def test_queues() -> None:
    one = streams(BUNDLED, 1)
    assert streams(BUNDLED, 8) == one and len(one) > 500


@pytest.mark.long
@pytest.mark.needs("tshark", "captures")
def test_captures(captures: Path, request: pytest.FixtureRequest) -> None:
    """Those that tell most; with --whole all."""
    every = sorted(captures.glob("*.pcap*"))
    assert {path.name for path in every} >= set(TELLING)
    for path in every:
        whole = request.config.getoption("whole") and path.name != ANSWERED_TWICE
        if whole or path.name in TELLING:
            check(path)
