"""What the command reports equals what an independent reader finds: every total, flow, size, hash and queue.

One run of the command serves many tests: each configuration is run once, each capture once.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kit import reference
from tests.kit.checks import check_flows, check_lossless, check_sizes, lengths_of, octets_of, reported_flows
from tests.kit.command import Finished, together, zcframe
from tests.kit.places import ANALYZERS, BUNDLED
from tests.kit.reference import TCP, UDP, Key, Packet

OWN_KEY = bytes(range(3, 163, 4))

PACKETS = ANALYZERS / "packets.py"
PLUGINS = ("flows?top=1000000&ended=4096", "sizes", f"{PACKETS}:Packets", f"{PACKETS}:Buckets")


@dataclass(frozen=True)
class Setup:
    """How a run spreads packets; key: as --rss-key takes it."""

    key: str = "symmetric"
    fields: str = "5-tuple"
    queues: int = 8
    slots: int = 4096

    def key_bytes(self, document: Mapping[str, Any]) -> bytes:
        """The key that it must be, or, where it was drawn by lot, that it says it was."""
        known = {"symmetric": reference.SYMMETRIC, "microsoft": reference.MICROSOFT}
        if self.key == "random":
            return bytes.fromhex(document["rss"]["key"])
        return known.get(self.key) or bytes.fromhex(self.key.replace(":", ""))


SETUPS = (
    Setup(queues=1, slots=65536),
    Setup(queues=2),
    Setup(queues=8),
    Setup(queues=8, slots=64),
    Setup(queues=16, slots=256),
    Setup(fields="ip-pair"),
    Setup(key="microsoft"),
    Setup(key="microsoft", fields="ip-pair"),
    Setup(key="random"),
    Setup(key=OWN_KEY.hex(":"), fields="ip-pair", queues=2),
)


def words(files: Sequence[Path], setup: Setup) -> list[object]:
    """The command for these files."""
    spread = ["--rss-key", setup.key, "--rss-fields", setup.fields, "--queues", setup.queues]
    return ["run", "--json", *spread, "--ring-slots", setup.slots, "--plugin", *PLUGINS, "--read", *files]


def document_of(done: Finished) -> dict[str, Any]:
    assert done.code == 0, done.stderr
    return done.document


@functools.cache
def bundled_runs() -> dict[Setup, dict[str, Any]]:
    """All setups. The first run alone, so that it compiles for all."""
    first, *others = SETUPS
    done = [zcframe(*words([BUNDLED], first)), *together(*(words([BUNDLED], setup) for setup in others))]
    return {setup: document_of(each) for setup, each in zip(SETUPS, done, strict=True)}


def bundled_run(setup: Setup) -> dict[str, Any]:
    return bundled_runs()[setup]


@functools.cache
def bundled_packets() -> list[Packet]:
    return reference.read(BUNDLED).packets


# --- comparisons


def check_queues(document: Mapping[str, Any], packets: Sequence[Packet], setup: Setup) -> None:
    key = setup.key_bytes(document)
    assert bytes.fromhex(document["rss"]["key"]) == key
    assert document["rss"]["fields"] == setup.fields
    assert document["rss"]["reta"] == [bucket % setup.queues for bucket in range(128)]
    got = [(row["packets"], row["bytes"]) for row in document["queues"]]
    assert got == reference.queue_totals(packets, key, setup.fields, setup.queues)


def check_each_packet(document: Mapping[str, Any], packets: Iterable[Packet], setup: Setup) -> None:
    """Time, hash, type and bucket of every single packet, and how many of each bucket every worker saw."""
    key, report = setup.key_bytes(document), document["plugins"]["packets"]
    found: Counter[tuple[int, ...]] = Counter()
    for *facts, count in report["rows"]:
        found[tuple(facts)] += count
    expected: Counter[tuple[int, ...]] = Counter()
    for packet in packets:
        kind, value = reference.rss(packet.frame, key, setup.fields)
        expected[packet.ts, value, kind, value % 128 if kind else 128, packet.wire] += 1
    assert report["lost"] == 0
    assert found == expected


def check_workers(document: Mapping[str, Any], packets: Iterable[Packet], setup: Setup) -> None:
    """No worker saw a packet of a bucket that belongs to another queue."""
    key = setup.key_bytes(document)
    expected = [[0] * 129 for _ in range(setup.queues)]
    for packet in packets:
        kind, value = reference.rss(packet.frame, key, setup.fields)
        bucket = value % 128 if kind else 128
        expected[bucket % setup.queues if kind else 0][bucket] += 1
    assert document["plugins"]["buckets"]["workers"] == [row for row in expected if any(row)]


def check_run(document: Mapping[str, Any], packets: Sequence[Packet], setup: Setup) -> None:
    """All but the flows, which may be those of several files."""
    lengths = lengths_of(packets)
    check_lossless(document, len(packets), octets_of(lengths))
    check_sizes(document["plugins"]["sizes"], lengths)
    check_queues(document, packets, setup)
    check_each_packet(document, packets, setup)
    check_workers(document, packets, setup)


# --- the bundled trace


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_totals_sizes_and_the_queue_of_every_packet(setup: Setup) -> None:
    check_run(bundled_run(setup), bundled_packets(), setup)


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_every_flow(setup: Setup) -> None:
    check_flows(bundled_run(setup)["plugins"]["flows"], reference.flows(bundled_packets()))


def _results(document: Mapping[str, Any]) -> Any:
    reports = document["plugins"]
    rows = sorted(json.dumps(flow) for flow in reports["flows"]["top"])
    return rows, reports["sizes"], document["totals"]


@pytest.mark.parametrize("setup", [s for s in SETUPS if (s.key, s.fields) == ("symmetric", "5-tuple")], ids=str)
def test_queues_and_slots_do_not_change_results(setup: Setup) -> None:
    assert _results(bundled_run(setup)) == _results(bundled_run(Setup()))


@pytest.mark.parametrize("fields", ["5-tuple", "ip-pair"])
def test_the_symmetric_key_keeps_every_flow_in_one_queue(fields: str) -> None:
    """Both directions have one hash, as far as the card hashes them alike at all."""
    hashes: dict[tuple[Key, int], set[int]] = {}
    for packet in bundled_packets():
        found = reference.headers(packet.frame)
        kind, value = reference.rss(packet.frame, reference.SYMMETRIC, fields)
        if found is not None and kind:
            hashes.setdefault((reference.flow_key(found), kind), set()).add(value)
    assert len(hashes) > 100
    assert all(len(seen) == 1 for seen in hashes.values())


def test_every_queue_gets_something() -> None:
    assert all(row["packets"] for row in bundled_run(Setup())["queues"])


def test_two_random_keys_differ() -> None:
    again = zcframe("run", "--check", "--json", "--rss-key", "random", "--read", BUNDLED).document
    assert again["rss"]["key"] != bundled_run(Setup(key="random"))["rss"]["key"]


# --- tshark and capinfos, which nobody here wrote


def _capinfos(files: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """File name -> (packets, wire bytes)."""
    done = subprocess.run(
        ["capinfos", "-T", "-M", "-m", "-Q", "-c", "-d", *map(str, files)], capture_output=True, text=True, check=False
    )
    rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
    return {Path(row[0]).name: (int(row[1]), int(row[2])) for row in rows}


FIELDS = ("frame.len", "ip.src", "ipv6.src", "communityid")


def _tshark(path: Path) -> list[dict[str, str]]:
    """FIELDS of each packet, as it stands on the wire: nothing reassembled."""
    options = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "--enable-protocol", "communityid"]
    fields = [word for name in FIELDS for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *options, "-T", "fields", "-E", "occurrence=a", *fields],
        capture_output=True,
        text=True,
        check=True,
    )
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def dissected() -> list[dict[str, str]]:
    return _tshark(BUNDLED)


@pytest.mark.needs("tshark")
def test_tshark_counts_the_same(dissected: list[dict[str, str]]) -> None:
    totals = bundled_run(Setup())["totals"]
    assert totals["packets"] == len(dissected)
    assert totals["bytes"] == sum(int(row["frame.len"]) for row in dissected)
    assert _capinfos([BUNDLED]) == {BUNDLED.name: (totals["packets"], totals["bytes"])}


def _first_ids(rows: Sequence[Mapping[str, str]], packets: Sequence[Packet]) -> Iterator[tuple[Key, str]]:
    """(flow, tshark's Community ID of its first packet), where tshark gives that packet one and sees no tunnel in it.

    tshark gives the first fragment of a packet the ID of its ports; in our flow of fragments the others have the say.
    """
    seen = set()
    for row, packet in zip(rows, packets, strict=True):
        found = reference.headers(packet.frame)
        if found is None or reference.flow_key(found) in seen or (found.fragment == 1 and found.proto in (TCP, UDP)):
            continue
        seen.add(reference.flow_key(found))
        sources = [text for name in ("ip.src", "ipv6.src") for text in row[name].split(",") if text]
        if row["communityid"].count(":") == 1 and len(sources) == 1:
            yield reference.flow_key(found), row["communityid"]


def _check_ids(document: Mapping[str, Any], expected: Mapping[Key, str]) -> None:
    found = reported_flows(document["plugins"]["flows"])
    assert {key: {flow["community_id"] for flow in found[key]} for key in expected} == {
        key: {value} for key, value in expected.items()
    }


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("setup", [Setup(), Setup(key="microsoft")], ids=str)
def test_community_ids_are_those_of_tshark(setup: Setup, dissected: list[dict[str, str]]) -> None:
    expected = dict(_first_ids(dissected, bundled_packets()))
    assert len(expected) > 100
    _check_ids(bundled_run(setup), expected)


# --- every real capture that is at hand


@dataclass
class Batch:
    """Files that have no flow in common, so that one run over all of them still shows each file's flows apart."""

    files: list[Path]
    packets: list[Packet]
    keys: set[Key]


@functools.cache
def readable(folder: Path) -> dict[Path, reference.Capture]:
    return {path: reference.read(path) for path in sorted(folder.glob("*.pcap*"))}


@functools.cache
def batches(folder: Path) -> list[Batch]:
    found: list[Batch] = []
    for path, capture in readable(folder).items():
        if capture.cut or capture.unsupported:
            continue
        keys = {reference.flow_key(ip) for packet in capture.packets if (ip := reference.headers(packet.frame))}
        batch = next((b for b in found if not b.keys & keys), None)
        if batch is None:
            found.append(batch := Batch([], [], set()))
        batch.files.append(path)
        batch.packets += capture.packets
        batch.keys |= keys
    return found


@pytest.fixture(scope="module")
def ran(captures: Path) -> list[tuple[Batch, dict[str, Any]]]:
    """Each batch with the document of its run."""
    done = together(*(words(batch.files, Setup()) for batch in batches(captures)))
    return [(batch, document_of(each)) for batch, each in zip(batches(captures), done, strict=True)]


Ran = list[tuple[Batch, dict[str, Any]]]


@pytest.mark.needs("captures")
def test_captures_totals_sizes_and_the_queue_of_every_packet(ran: Ran) -> None:
    for batch, document in ran:
        assert document["source"]["names"] == [str(path) for path in batch.files]
        check_run(document, batch.packets, Setup())


@pytest.mark.needs("captures")
def test_captures_every_flow(ran: Ran) -> None:
    for batch, document in ran:
        check_flows(document["plugins"]["flows"], reference.flows(batch.packets))


@pytest.mark.needs("captures")
def test_captures_with_another_key_by_address(captures: Path) -> None:
    setup, batch = Setup(key="microsoft", fields="ip-pair"), batches(captures)[0]
    check_run(document_of(zcframe(*words(batch.files, setup))), batch.packets, setup)


@pytest.mark.needs("captures", "tshark")
def test_captures_capinfos_counts_the_same(captures: Path) -> None:
    whole = {path: capture for path, capture in readable(captures).items() if not capture.cut}
    expected = {path.name: (len(capture.packets), capture.wire_bytes) for path, capture in whole.items()}
    assert _capinfos(list(whole)) == expected


@pytest.mark.needs("captures", "tshark")
def test_captures_community_ids_are_those_of_tshark(ran: Ran, tmp_path: Path) -> None:
    """Of the first batch, its files put behind one another."""
    (batch, document), merged = ran[0], tmp_path / "merged.pcapng"
    subprocess.run(["mergecap", "-a", "-w", str(merged), *map(str, batch.files)], check=True)
    expected = dict(_first_ids(_tshark(merged), batch.packets))
    assert len(expected) > 1000
    _check_ids(document, expected)
