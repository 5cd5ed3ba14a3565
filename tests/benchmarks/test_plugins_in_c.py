"""The plugins written in C count what ours count, on real captures: row by row in memory, and as a program on libpcap."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bench import Bench
from benchmarks.blocks import Blocks, load_blocks, make_blocks
from benchmarks.chain import EIGHT
from benchmarks.cplugins import CPlugins, Differs, check_same
from benchmarks.table_load import many_flows
from benchmarks.zchain import ZcChain
from tests.property.test_walk import DEEPEST, HEADERS, stack
from zcframe.framework.sources.trace import bundled_trace

# Each of the captures from its beginning to its end, and some of it again: connections that begin anew.
MIX_MEGABYTES = 40
# So little that no flow that ended gives up its place.
SHORT_MEGABYTES = 8
FRAMES = 1 << 16
STACKS = 1 << 11
NATIVE = ("-O3", "-march=native")

pytestmark = pytest.mark.needs("gcc")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), MIX_MEGABYTES)


@pytest.fixture(scope="module")
def blocks(bench: Bench) -> Blocks:
    return load_blocks(bench.mix().path, FRAMES)


@pytest.fixture(scope="module")
def eight(blocks: Blocks) -> ZcChain:
    ours = ZcChain(EIGHT, blocks)
    ours.run()
    return ours


@pytest.mark.parametrize("options", [(), NATIVE], ids=["O2", "O3"])
def test_eight_plugins_agree_on_every_row(bench: Bench, eight: ZcChain, options: tuple[str, ...]) -> None:
    theirs = CPlugins(bench, eight, *options)
    theirs.run(eight.blocks)
    check_same(theirs, eight)
    assert len(eight.merged(0).flows) > 1000
    assert eight.merged(0).past_packets.any(), "no flow followed another one over its key"
    assert eight.merged(3).counts[0] > 0, "no query"
    assert eight.merged(4).targets["answers"].sum() > 0, "no connection was answered"


# ns from one packet to the next: flows fall silent, and are split; SYNs are forgotten; and time runs backwards.
@pytest.mark.parametrize("gap", [100_000_000, -100_000_000], ids=["slow", "backwards"])
def test_eight_plugins_agree_on_every_row_at_another_pace(bench: Bench, blocks: Blocks, gap: int) -> None:
    descriptors = blocks.descriptors.copy()
    descriptors["timestamp"] = 10**18 + gap * np.arange(len(blocks))
    ours = ZcChain(EIGHT, Blocks(descriptors, blocks.memory))
    theirs = CPlugins(bench, ours)
    ours.run()
    theirs.run(ours.blocks)
    check_same(theirs, ours)
    assert ours.merged(0).past_packets.any()


def test_headers_before_ip_and_frames_cut_anywhere_agree(bench: Bench, eight: ZcChain) -> None:
    dice = random.Random(82576)
    frames = [stack(dice, dice.sample(list(HEADERS), dice.randrange(DEEPEST))) for _ in range(STACKS)]
    frames += [frame[: dice.randrange(14, len(frame))] for frame in frames]
    ours = ZcChain(EIGHT, make_blocks([(n, len(frame), frame) for n, frame in enumerate(frames)], len(frames)))
    theirs = CPlugins(bench, ours)
    ours.run()
    theirs.run(ours.blocks)
    check_same(theirs, ours)
    assert len(ours.merged(2).hosts) > 100


def test_a_frame_too_few_is_a_difference(bench: Bench, eight: ZcChain) -> None:
    theirs = CPlugins(bench, eight)
    theirs.run(Blocks(eight.blocks.descriptors[:-1], eight.blocks.memory))
    with pytest.raises(Differs):
        check_same(theirs, eight)


def test_a_full_table_agrees_on_the_flows_that_found_room(bench: Bench) -> None:
    many = many_flows()
    few = 1 << 16
    ours = ZcChain(["flows?capacity=16384"], Blocks(many.descriptors[:few], many.memory))
    theirs = CPlugins(bench, ours)
    ours.run()
    theirs.run(ours.blocks)
    merged = ours.merged(0)
    assert merged.lost["flows"] > 0
    check_same(theirs, ours)


def _run(capture: Path) -> dict[str, Any]:
    """What `zcframe run` reports with the three plugins, each with all that it knows."""
    plugins = ("flows?top=1000000", "sizes?bin=1", "talkers?top=1000000")
    command = [sys.executable, "-m", "zcframe", "run", "--json", "--read", str(capture), "--speed", "max"]
    ran = subprocess.run([*command, "--queues", "2", "--plugin", *plugins], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _end(address: str, port: int) -> tuple[bytes, int]:
    return ip_address(address).packed, port


def _key(proto: int, one: tuple[bytes, int], other: tuple[bytes, int]) -> tuple[Any, ...]:
    return (proto, *sorted((one, other)))


def _flows_of(report: dict[str, Any]) -> Counter[tuple[Any, ...]]:
    """(packets, bytes) of each pair of ends, whatever the number of flows between them."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for flow in report["top"]:
        key = _key(flow["proto"], _end(flow["src"], flow["sport"]), _end(flow["dst"], flow["dport"]))
        counts[*key, "packets"] += flow["packets"]
        counts[*key, "bytes"] += flow["bytes"]
    return counts


def _lines(program: Path, capture: Path) -> Iterator[list[str]]:
    printed = subprocess.run([program, capture], capture_output=True, text=True, check=True).stdout
    yield from (line.split() for line in printed.splitlines())


@pytest.mark.parametrize("name", ["trace", "mix"])
def test_three_plugins_on_libpcap_agree_with_the_command(bench: Bench, tmp_path: Path, name: str) -> None:
    capture = bundled_trace() if name == "trace" else Bench(tmp_path, SHORT_MEGABYTES).mix().path
    document = _run(capture)
    reports = document["plugins"]
    assert reports["flows"]["lost"] == reports["flows"]["unlisted"] == reports["talkers"]["lost"] == 0
    flows: Counter[tuple[Any, ...]] = Counter()
    hosts, sizes, packets = {}, {}, 0
    for kind, *words in _lines(bench.compile("plugins/live.c", libraries=("-lpcap",)), capture):
        if kind == "flow":
            proto, a, a_port, b, b_port, count, volume, _ = words
            key = _key(int(proto), _end(a, int(a_port)), _end(b, int(b_port)))
            flows[*key, "packets"] += int(count)
            flows[*key, "bytes"] += int(volume)
        elif kind == "host":
            hosts[words[0]] = [int(word) for word in words[1:]]
        elif kind == "size":
            sizes[f"{words[0]}-{words[0]}"] = int(words[1])
        else:
            packets = int(words[0].rstrip("}"))
    assert packets == document["totals"]["packets"] == sum(sizes.values())
    assert flows == _flows_of(reports["flows"])
    names = ("sent_packets", "sent_bytes", "received_packets", "received_bytes")
    assert hosts == {row["host"]: [row[name] for name in names] for row in reports["talkers"]["top"]}
    assert sizes == reports["sizes"]["histogram"]
