"""What the command says and when it ends: the JSON document, the lines of --stats-interval, counts, rounds, loss."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_flows, check_lossless, check_sizes, lengths_of, octets_of
from tests.kit.command import Background, Finished, together, zcframe
from tests.kit.places import ANALYZERS, BUNDLED

QUEUE = {"iface", "queue", "worker", "cpu", "pid", "restarts", "restart_ms", "packets", "bytes", "ledger"}
LEDGER = {
    *("arrived", "delivered", "nic_drop", "ring_full", "in_flight"),
    *("accepted", "faulted", "truncated", "dropped_by", "at_least"),
}
FLOW = {
    *("src", "dst", "sport", "dport", "proto", "packets", "bytes"),
    *("first_ns", "last_ns", "tcp_flags", "one_sided", "community_id"),
}


def check_keys(document: Mapping[str, Any]) -> None:
    """Exactly those that are promised."""
    assert set(document) == {
        *("zcframe", "source", "started", "ended", "time", "elapsed_s"),
        *("rss", "queues", "totals", "faults", "outputs", "rows", "plugins"),
    }
    assert set(document["source"]) == {"kind", "names", "backend", "link_types"}
    assert set(document["rss"]) == {"key", "fields", "reta"}
    assert len(document["rss"]["reta"]) == 128
    for row in document["queues"]:
        assert set(row) == QUEUE
        assert set(row["ledger"]) == LEDGER
    assert set(document["totals"]) == QUEUE - {"iface", "queue", "worker", "cpu", "pid", "restart_ms"} | {
        "lost",
        "no_ip",
    }
    assert set(document["totals"]["ledger"]) == LEDGER
    assert set(document["plugins"]) == {"flows", "sizes"}
    assert set(document["plugins"]["flows"]) == {"count", "packets", "bytes", "lost", "unlisted", "top"}


@pytest.fixture(scope="module")
def packets() -> list[reference.Packet]:
    return reference.read(BUNDLED).packets


@functools.cache
def plain() -> Finished:
    """The default plugins on the bundled trace as a file, with more words on stderr than usual.

    200 rounds last for longer than a flow may without being split.
    """
    plugins = ("--plugin", "flows?active=0", "sizes")
    return zcframe("run", "--json", "-v", "--stats-interval", "0.01", "--loop", "200", *plugins, "--read", BUNDLED)


def test_the_document_has_the_keys_that_are_promised() -> None:
    document = plain().document
    check_keys(document)
    assert all(set(flow) == FLOW for flow in document["plugins"]["flows"]["top"])
    assert document["source"] == {
        "kind": "file", "names": [str(BUNDLED)], "backend": "soft82576", "link_types": ["ETHERNET"],
    }  # fmt: skip
    assert [row["queue"] for row in document["queues"]] == list(range(8))
    assert len({row["pid"] for row in document["queues"]}) == 8
    assert document["elapsed_s"] > 0


def test_the_version_is_that_of_the_command() -> None:
    assert zcframe("--version").stdout.split() == ["zcframe", plain().document["zcframe"]]


def test_each_interval_is_a_line_of_the_same_form_on_stderr(packets: list[reference.Packet]) -> None:
    lines = [json.loads(line) for line in plain().stderr.splitlines() if line.startswith("{")]
    assert lines
    before = 0
    for line in lines:
        check_keys(line)
        # A moment in the middle of it all: every single sum holds, and what was counted stays counted.
        check_books(line)
        assert before <= line["totals"]["packets"] <= 200 * len(packets)
        before = line["totals"]["packets"]


def test_rounds(packets: list[reference.Packet]) -> None:
    """--loop N is N times all of it, with times that go on rising."""
    document, whole = plain().document, 200 * len(packets)
    lengths = reference.replayed_lengths(packets, whole)
    check_lossless(document, whole, octets_of(lengths))
    check_sizes(document["plugins"]["sizes"], lengths)
    found, flows = document["plugins"]["flows"], reference.replayed_flows(packets, whole)
    assert (found["count"], found["packets"], found["bytes"]) == (flows.count, flows.packets, flows.bytes)


COUNTS = (1, 63, 64, 65, 5000, 20_000)


@functools.cache
def counted_runs() -> dict[int, Finished]:
    words = ["run", "--json", "--plugin", "flows?top=100000", "sizes", "--loop", "0", "--read", BUNDLED, "--count"]
    return dict(zip(COUNTS, together(*([*words, count] for count in COUNTS)), strict=True))


@pytest.mark.parametrize("count", COUNTS)
def test_a_count_of_packets_is_kept_exactly(packets: list[reference.Packet], count: int) -> None:
    done = counted_runs()[count]
    assert done.code == 0, done
    check_lossless(done.document, count, octets_of(reference.replayed_lengths(packets, count)))
    check_flows(done.document["plugins"]["flows"], reference.replayed_flows(packets, count))


def test_a_duration_ends_an_endless_run() -> None:
    done = zcframe("run", "--json", "--duration", "0.5", "--pps", "20000")
    assert done.code == 0, done
    document = done.document
    check_books(document)
    assert document["source"]["kind"] == "trace"
    assert document["elapsed_s"] >= 0.5
    assert 0 < document["totals"]["ledger"]["arrived"] <= 20_000 * document["elapsed_s"] + 1
    assert "no source named: the bundled trace" in done.stderr


def test_the_pace_of_the_recording() -> None:
    """What was recorded in half a second takes half a second."""
    packets = reference.read(BUNDLED).packets
    start = packets[0].ts
    count = next(i for i, packet in enumerate(packets) if packet.ts - start > 500_000_000)
    done = zcframe("run", "--json", "--speed", "original", "--count", count, "--plugin", "sizes", "--read", BUNDLED)
    assert done.code == 0, done
    assert check_books(done.document)["ledger"]["arrived"] == count
    assert done.document["elapsed_s"] >= (packets[count - 1].ts - start) / 1e9 - 0.001


@pytest.mark.parametrize("pipe", [True, False], ids=["pipe", "file"])
def test_standard_input(packets: list[reference.Packet], tmp_path: Path, pipe: bool) -> None:
    with contextlib.ExitStack() as stack:
        source: IO[bytes] = stack.enter_context(BUNDLED.open("rb"))
        if pipe:
            cat = stack.enter_context(subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE))
            assert cat.stdout is not None
            source = cat.stdout
        words = ["run", "--json", "--plugin", "sizes", "--read", "-"]
        done = stack.enter_context(Background(tmp_path, *words, stdin=source)).finish()
    assert done.code == 0, done
    check_lossless(done.document, len(packets), octets_of(lengths_of(packets)))


# --- loss


@functools.cache
def lossy(*more: object) -> Finished:
    """Faster than its one slow worker takes it."""
    slow = f"{ANALYZERS / 'tally.py'}:Slow?rounds=2000"
    pace = ("--pps", "3M", "--ring-slots", "64", "--queues", "1", "--loop", "0", "--count", "60000")
    return zcframe("run", "--json", *pace, *more, "--plugin", slow, "sizes", "--read", BUNDLED)


def test_loss_has_a_cause_and_the_ledger_closes() -> None:
    done = lossy()
    totals = check_books(done.document)
    ledger = totals["ledger"]
    assert done.code == 0
    assert ledger["arrived"] == 60_000
    assert ledger["ring_full"] > 0
    assert ledger["nic_drop"] == ledger["in_flight"] == 0
    assert done.document["plugins"]["sizes"]["packets"] == ledger["delivered"]
    assert done.document["plugins"]["sizes"]["bytes"] == totals["bytes"]


def test_too_much_loss_is_an_exit_code() -> None:
    done = lossy("--max-loss", "0.0001")
    assert done.code == 3, done
    assert any("--max-loss" in line for line in done.complaints)
    check_books(done.document)


def test_loss_within_the_limit_is_none() -> None:
    assert lossy("--max-loss", "1").code == 0


def test_no_loss_is_never_too_much() -> None:
    assert zcframe("run", "--json", "--plugin", "sizes", "--max-loss", "0", "--read", BUNDLED).code == 0


# --- what does not run anything


def test_a_check_prints_the_plan_and_starts_nothing() -> None:
    done = zcframe("run", "--check", "--json", "--queues", "4", "--plugin", "flows?top=3", "--read", BUNDLED)
    plan = done.document
    assert done.code == 0
    assert [row["queue"] for row in plan["queues"]] == [0, 1, 2, 3]
    assert plan["plugins"][0]["params"]["top"] == 3
    assert "totals" not in plan


def test_the_summary_says_the_same_as_the_document(packets: list[reference.Packet]) -> None:
    done = zcframe("run", "--read", BUNDLED)
    assert done.code == 0, done
    assert f"{len(packets):,} packets" in done.stdout
    assert f"lost 0 of {len(packets):,} frames" in done.stdout
    assert f"count {len(reference.flows(packets)):,}  packets" in done.stdout
