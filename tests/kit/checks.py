"""Reports of a run against what the reference finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from . import reference
from .reference import Flow, Key, Packet, Replayed

FLOWS_KEYS = {"count", "packets", "bytes", "lost", "unlisted", "top"}
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


def reported_flows(report: Mapping[str, Any]) -> dict[Key, list[dict[str, Any]]]:
    """The list of flows by the reference's key, those of a key in the order of their times."""
    found: dict[Key, list[dict[str, Any]]] = {}
    for flow in sorted(report["top"], key=lambda flow: int(flow["first_ns"])):
        src, dst = ((reference.packed(flow[end]), flow[port]) for end, port in (("src", "sport"), ("dst", "dport")))
        pairs = reference.ICMP_PAIRS.get(flow["proto"])
        one_way = pairs is not None and src[1] not in {*pairs, *pairs.values()} and (src[1], dst[1]) != (0, 0)
        low, high = (src, dst) if one_way else sorted([src, dst])
        found.setdefault((low, high, flow["proto"]), []).append(flow)
    return found


def check_flows(report: Mapping[str, Any], expected: Sequence[Flow] | Replayed) -> None:
    """Of a run with ?top= above the number of flows."""
    if isinstance(expected, Replayed):
        if expected.listed is None:
            assert set(report) == FLOWS_KEYS
            found = [report[name] for name in ("count", "packets", "bytes", "lost")]
            assert found == [expected.count, expected.packets, expected.bytes, 0]
            assert report["count"] == len(report["top"]) + report["unlisted"]
            return
        expected = expected.listed
    assert set(report) == FLOWS_KEYS
    assert report["count"] == len(report["top"]) == len(expected)
    assert report["packets"] == sum(flow.packets for flow in expected)
    assert report["bytes"] == sum(flow.bytes for flow in expected)
    assert (report["lost"], report["unlisted"]) == (0, 0)
    octets = [flow["bytes"] for flow in report["top"]]
    assert octets == sorted(octets, reverse=True)
    rows = [{name: value for name, value in flow.items() if name != "community_id"} for flow in report["top"]]
    assert sorted(rows, key=repr) == sorted((flow.as_report() for flow in expected), key=repr)


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
