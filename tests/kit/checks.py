"""Reports of a run against what the reference finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from . import reference
from .reference import Flow, Key, Packet

FLOWS_KEYS = {"count", "packets", "bytes", "lost", "top"}
COUNTERS = ("arrived", "delivered", "nic_drop", "ring_full", "in_flight", "accepted", "faulted", "truncated")


def ledger_closes(ledger: Mapping[str, Any]) -> bool:
    """Both sums, by our own arithmetic."""
    arrived = ledger["delivered"] + ledger["nic_drop"] + ledger["ring_full"] + ledger["in_flight"]
    delivered = ledger["accepted"] + sum(ledger["dropped_by"].values()) + ledger["faulted"]
    return bool(ledger["arrived"] == arrived and ledger["delivered"] == delivered)


def check_books(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every ledger closes, the totals are the sums of the queues; returns the totals."""
    queues, totals = document["queues"], document["totals"]
    for row in [*queues, totals]:
        assert ledger_closes(row["ledger"]), row
        assert row["packets"] == row["ledger"]["delivered"], row
    for name in ("packets", "bytes", "restarts"):
        assert totals[name] == sum(row[name] for row in queues)
    for name in COUNTERS:
        assert totals["ledger"][name] == sum(row["ledger"][name] for row in queues)
    found: Mapping[str, Any] = totals
    return found


def check_lossless(document: Mapping[str, Any], packets: int, octets: int) -> None:
    """So many packets and bytes came, each was delivered and accepted."""
    totals = check_books(document)
    ledger = totals["ledger"]
    assert (totals["packets"], totals["bytes"]) == (packets, octets)
    assert ledger["arrived"] == ledger["delivered"] == ledger["accepted"] == packets


def lengths_of(packets: Sequence[Packet]) -> Counter[int]:
    return Counter(packet.wire for packet in packets)


def octets_of(lengths: Mapping[int, int]) -> int:
    return sum(length * count for length, count in lengths.items())


def reported_flows(report: Mapping[str, Any]) -> dict[Key, dict[str, Any]]:
    """The list of flows by the reference's key. Fails where a flow is listed twice."""
    found: dict[Key, dict[str, Any]] = {}
    for flow in report["top"]:
        ends = sorted((reference.packed(flow[end]), flow[port]) for end, port in (("src", "sport"), ("dst", "dport")))
        key = ends[0], ends[1], flow["proto"]
        assert key not in found, flow
        found[key] = flow
    return found


def check_flows(report: Mapping[str, Any], expected: Mapping[Key, Flow]) -> None:
    """Of a run with ?top= above the number of flows."""
    assert set(report) == FLOWS_KEYS
    assert report["count"] == len(report["top"]) == len(expected)
    assert report["packets"] == sum(flow.packets for flow in expected.values())
    assert report["bytes"] == sum(flow.bytes for flow in expected.values())
    assert report["lost"] == 0
    octets = [flow["bytes"] for flow in report["top"]]
    assert octets == sorted(octets, reverse=True)
    found = reported_flows(report)
    assert found.keys() == expected.keys()
    for key, flow in expected.items():
        assert {name: value for name, value in found[key].items() if name != "community_id"} == flow.as_report()


def check_sizes(report: Mapping[str, Any], lengths: Mapping[int, int]) -> None:
    assert report["histogram"] == reference.sizes(lengths)
    assert (report["packets"], report["bytes"]) == (sum(lengths.values()), octets_of(lengths))


def check_tally(report: Mapping[str, Any], lengths: Mapping[int, int]) -> None:
    """What analyzers/tally.py:Tally counted."""
    packets = sum(lengths.values())
    assert report["counts"] == [packets, octets_of(lengths), packets, 0]
    expected: Counter[str] = Counter()
    for length, count in lengths.items():
        expected[str(min(length, 4095))] += count
    assert report["lengths"] == expected
