"""Files and options that are wrong: one clear line, the right exit code, never a traceback, and whatever was whole counts."""

from __future__ import annotations

import functools
import os
import random
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kit import reference
from tests.kit.checks import check_books
from tests.kit.command import Finished, together, zcframe
from tests.kit.places import ANALYZERS, BUNDLED

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6


def refused(done: Finished, code: int, *words: str) -> None:
    """One line on stderr that says all these words, nothing on stdout."""
    assert (done.code, done.stdout) == (code, ""), done
    (line,) = done.complaints
    for word in words:
        assert word in line, line


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def section() -> bytes:
    return block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(link: int = 1) -> bytes:
    return block(INTERFACE, struct.pack("<HHI", link, 0, 0))


def enhanced(frame: bytes, wire: int | None = None, number: int = 0) -> bytes:
    length = len(frame) if wire is None else wire
    return block(PACKET, struct.pack("<IIIII", number, 0, 7, len(frame), length) + frame)


def pcap(frames: list[bytes], link: int = 1) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack("<IIII", 1, i, len(f), len(f)) + f for i, f in enumerate(frames))


# --- files


def test_missing(tmp_path: Path) -> None:
    refused(zcframe("run", "--read", tmp_path / "none.pcap"), 1, "none.pcap", "No such file")


def test_a_missing_file_is_found_before_the_first_one_runs(tmp_path: Path) -> None:
    refused(zcframe("run", "--read", BUNDLED, tmp_path / "none.pcap"), 1, "none.pcap")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").touch()
    refused(zcframe("run", "--read", tmp_path / "empty.pcap"), 1, "empty.pcap", "empty")


def test_directory(tmp_path: Path) -> None:
    refused(zcframe("run", "--read", tmp_path), 1, str(tmp_path), "directory")


def test_garbage(tmp_path: Path) -> None:
    path = tmp_path / "noise.pcap"
    path.write_bytes(random.Random(7).randbytes(100_000))
    refused(zcframe("run", "--read", path), 1, "noise.pcap", "not a capture")


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "words.pcap"
    path.write_text("this is no capture\n" * 100)
    refused(zcframe("run", "--read", path), 1, "words.pcap", "not a capture")


@pytest.mark.parametrize("size", [1, 4, 23])
def test_cut_in_the_header(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap([])[:size])
    refused(zcframe("run", "--read", path), 1, "cut.pcap")


def test_unreadable_for_this_user(tmp_path: Path) -> None:
    path = tmp_path / "secret.pcap"
    path.write_bytes(pcap([bytes(60)]))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    refused(zcframe("run", "--read", path), 1, "secret.pcap", "Permission denied")


@pytest.mark.parametrize("link", [147, 195, 220, 65000])
def test_a_link_type_without_meaning_is_refused_by_name(tmp_path: Path, link: int) -> None:
    path = tmp_path / "radio.pcap"
    path.write_bytes(pcap([bytes(60)], link))
    names = {147: "USER0", 195: "IEEE802_15_4_WITHFCS", 220: "USB_LINUX_MMAPPED", 65000: "unknown"}
    refused(zcframe("run", "--read", path), 1, "radio.pcap", names[link], f"({link})")


def partial(done: Finished, path: Path, whole: list[reference.Packet]) -> None:
    """All of `whole` was delivered, then one line that names the file, and exit code 1."""
    assert done.code == 1, done
    totals = check_books(done.document)
    assert (totals["packets"], totals["bytes"]) == (len(whole), sum(packet.wire for packet in whole))
    assert totals["ledger"]["in_flight"] == 0
    (line,) = done.complaints
    assert path.name in line
    found = {name: done.document["plugins"]["flows"][name] for name in ("count", "packets")}
    flows = reference.flows(whole)
    assert found == {"count": len(flows), "packets": sum(flow.packets for flow in flows)}


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_cut_in_mid_record(tmp_path: Path, keep: float) -> None:
    data = BUNDLED.read_bytes()
    path = tmp_path / "cut.pcapng"
    path.write_bytes(data[: int(len(data) * keep) // 4 * 4 + 2])
    whole = reference.read(path)
    assert whole.cut and whole.packets
    partial(zcframe("run", "--json", "--read", path), path, whole.packets)


@pytest.mark.needs("tshark")
def test_pcap_cut_in_mid_record(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.pcap", tmp_path / "cut.pcap"
    subprocess.run(["editcap", "-F", "pcap", str(BUNDLED), str(whole)], check=True)
    path.write_bytes(whole.read_bytes()[:-1])
    packets = reference.read(whole).packets[:-1]
    done = zcframe("run", "--json", "--read", path)
    partial(done, path, packets)
    assert "cut short" in done.stderr


def test_a_frame_that_claims_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "lies.pcap"
    path.write_bytes(pcap([bytes(60)] * 5) + struct.pack("<IIII", 1, 1, 1 << 31, 60) + bytes(100))
    partial(zcframe("run", "--json", "--read", path), path, reference.read(path).packets)


def test_what_was_read_before_a_bad_block_counts(tmp_path: Path) -> None:
    path = tmp_path / "bad.pcapng"
    whole = section() + interface() + enhanced(bytes(60)) * 3
    path.write_bytes(whole + struct.pack("<II", 6, 7) + bytes(40))
    expected = reference.read(path).packets
    assert len(expected) == 3
    partial(zcframe("run", "--json", "--read", path), path, expected)


def test_unknown_blocks_and_several_sections(tmp_path: Path) -> None:
    """Blocks that nobody knows are stepped over; a second section brings interfaces of its own."""
    path = tmp_path / "strange.pcapng"
    strange = block(0x0BADBEEF, b"whatever this is") + block(0x80000001, bytes(5000)) + block(4, bytes(8))
    first = section() + strange + interface() + strange + enhanced(bytes(60)) + strange
    second = (
        section() + interface(101) + enhanced(b"\x45" + bytes(59)) + block(5, bytes(20)) + enhanced(bytes(64), 1500)
    )
    path.write_bytes(first + second)
    done = zcframe("run", "--json", "--read", path)
    assert done.code == 0, done
    totals = check_books(done.document)
    assert (totals["packets"], totals["bytes"]) == (3, 60 + 60 + 1500)


@pytest.mark.parametrize(("pace", "truncated"), [((), 1), (("--pps", 1000), 3)])
def test_long_frames_are_cut_and_counted(tmp_path: Path, pace: tuple[Any, ...], truncated: int) -> None:
    """To a block where they are copied into one, and to what a plugin sees at most where they are not."""
    lengths = 2048, 2049, 9000, 40_000
    path = tmp_path / "long.pcap"
    path.write_bytes(pcap([bytes(length) for length in lengths]))
    done = zcframe("run", "--json", *pace, "--read", path)
    totals = check_books(done.document)
    assert (done.code, totals["packets"], totals["bytes"]) == (0, len(lengths), sum(lengths))
    assert totals["ledger"]["truncated"] == truncated


def test_damaged_captures_never_bring_it_down(tmp_path: Path) -> None:
    """The bundled trace with noise in it, at many places: it ends by itself, and what it counted is in the books."""
    rng, paths = random.Random(11), []
    for number in range(6):
        data = bytearray(BUNDLED.read_bytes())
        for _ in range(10 ** (number % 3 + 1)):
            data[rng.randrange(200, len(data))] = rng.randrange(256)
        paths.append(tmp_path / f"damaged{number}.pcapng")
        paths[-1].write_bytes(data)
    for done in together(*(["run", "--json", "--read", path] for path in paths)):
        assert done.code in (0, 1), done
        check_books(done.document)


def test_headers_that_lie(tmp_path: Path) -> None:
    """IP headers with lengths beyond the frame, below the header, and none at all, over every value of the first byte."""
    ip = bytes.fromhex("4500001c000100004011000a0a0000010a000002") + struct.pack(">HHHH", 1, 2, 60000, 0)
    frames = []
    for first in range(256):
        for total in (0, 1, 19, 20, 21, 24, 28, 65535):
            head = bytes([first]) + ip[1:2] + struct.pack(">H", total) + ip[4:]
            frames.append(bytes(12) + b"\x08\x00" + head)
            frames.append(bytes(12) + b"\x86\xdd" + head + bytes(12 + first % 40))
    path = tmp_path / "liars.pcap"
    path.write_bytes(pcap(frames))
    done = zcframe("run", "--json", "--plugin", "flows?top=100000", "sizes", "--read", path)
    assert done.code == 0, done
    packets = reference.read(path).packets
    totals, flows = check_books(done.document), reference.flows(packets)
    assert totals["packets"] == len(packets) == len(frames)
    report = done.document["plugins"]["flows"]
    assert (report["count"], report["packets"]) == (len(flows), sum(flow.packets for flow in flows))


def test_a_second_file_that_is_cut_fails_the_run_after_the_first(tmp_path: Path) -> None:
    path, good = tmp_path / "cut.pcap", tmp_path / "good.pcap"
    path.write_bytes(pcap([bytes(60)] * 3)[:-1])
    good.write_bytes(pcap([bytes(60)] * 4))
    done = zcframe("run", "--json", "--read", good, path)
    assert (done.code, check_books(done.document)["packets"]) == (1, 6)


# --- options


USAGE: dict[str, list[str]] = {
    "--queues 0": ["--queues 0"],
    "--queues 17": ["--queues 17", "16"],
    "--queues 129": ["--queues 129", "16"],
    "--ring-slots 100": ["--ring-slots 100", "power of two"],
    "--rss-key secret": ["secret", "microsoft"],
    f"--rss-key {'00' * 39}": ["39 bytes", "40"],
    "--cpus 4000": ["4000"],
    "--plugin flow": ["flow", "did you mean flows"],
    "--plugin flows?tops=3": ["tops", "did you mean top"],
    "--plugin flows?top=many": ["top=many", "whole number"],
    "--plugin nothere.py": ["nothere.py", "no such file"],
    "--plugin no.such.module:Class": ["no.such.module"],
    f"--plugin {ANALYZERS}/tally.py": ["tally.py", "name one"],
    f"--plugin {ANALYZERS}/tally.py:Nobody": ["Nobody"],
    "--config nothere.toml": ["nothere.toml"],
}


@functools.cache
def usage_runs() -> dict[str, Finished]:
    done = together(*(["run", *words.split(), "--read", BUNDLED] for words in USAGE))
    return dict(zip(USAGE, done, strict=True))


@pytest.mark.parametrize("words", [pytest.param(words, id=words.replace(str(ANALYZERS), "")) for words in USAGE])
def test_wrong_usage(words: str) -> None:
    refused(usage_runs()[words], 2, *USAGE[words])


def test_an_interface_that_is_not_there_and_one_that_shares_no_rings() -> None:
    shared = ["run", "--json", "--iface", "lo", "--backend", "zerocopy"]
    gone, loopback = together(["run", "--json", "--iface", "nothere0"], shared)
    refused(gone, 1, "no interface 'nothere0'", "lo")
    # With the module loaded it is the driver of lo that refuses; without it, nobody gets so far.
    refused(loopback, 1, "zc82576")


def test_rss_of_an_interface_that_is_not_there_or_has_none() -> None:
    commands = [
        "show nothere0",
        "set nothere0 --queues 2",
        "restore nothere0",
        "set lo --key symmetric",
        "symmetric lo",
    ]
    *gone, no_rss, no_channels = together(*(["rss", *words.split()] for words in commands))
    for done in gone:
        refused(done, 1, "no interface 'nothere0'", "lo")
    refused(no_rss, 1, "driver of lo cannot tell its RSS table")
    refused(no_channels, 1, "driver of lo cannot tell its")


RSS_USAGE = {
    "set lo --key secret": ["--key 'secret'", "microsoft"],
    f"set lo --key {'00' * 39}": ["--key of 39 bytes", "40"],
    "set lo --queues 2 --reta 0,1": ["--queues and --reta"],
    "set lo --queues -1": ["--queues"],
    "set lo --rings many": ["--rings", "many"],
    "set lo --fields 6-tuple": ["--fields", "6-tuple"],
    "symmetric": ["IFACE"],
    "restore lo eth9": ["eth9"],
    "symetric lo": ["did you mean symmetric"],
}


def test_wrong_usage_of_rss() -> None:
    for words, done in zip(RSS_USAGE, together(*(["rss", *words.split()] for words in RSS_USAGE)), strict=True):
        refused(done, 2, *RSS_USAGE[words])


def test_a_plugin_that_does_not_compile_names_its_line(tmp_path: Path) -> None:
    villains = ANALYZERS / "villains.py"
    lines = villains.read_text().splitlines()
    line = next(i for i, text in enumerate(lines, 1) if "no_such_attribute" in text)
    done = zcframe("run", "--json", "--plugin", f"{villains}:Miscompiled", "--read", BUNDLED)
    assert (done.code, done.stdout) == (1, ""), done
    assert any("miscompiled" in text and f"villains.py:{line}" in text for text in done.complaints), done.stderr
    assert "no_such_attribute" in done.stderr
    assert len(done.stderr.splitlines()) < 6


MINE = """
from zcframe import PASS, Array, plugin, u64

@plugin
class Mine:
    counts = Array(u64, {length})

    def filter(pkt, state, params):
        state.counts[0] += 1
        return PASS
"""


ODD_REPORTS = {
    "report(merged):\n        return [1]": "report() returned what cannot be used: a list, where a dict is needed",
    "report(merged):\n        return {'x': object()}": "neither number nor text",
    "report(merged):\n        made = {}\n        made['x'] = made\n        return made": "it holds itself",
    "report(merged):\n        raise SystemExit(3)": "report() failed: SystemExit: 3",
    "merge(states):\n        return {}": "merge() returned what cannot be used: a dict, where a state is needed",
    "merge(states):\n        pass": "merge() returned what cannot be used: a NoneType",
    "lines(report):\n        return 'text'": "lines() returned what cannot be used: a list of str is needed",
}


def test_what_cannot_be_a_report_is_the_authors_mistake(tmp_path: Path) -> None:
    """Each in a line of its own; the plugin beside it reports."""
    for i, (text, words) in enumerate(ODD_REPORTS.items()):
        mine = tmp_path / f"mine{i}.py"
        mine.write_text(MINE.format(length=1) + f"\n    def {text}\n")
        done = zcframe("run", "--json", "--plugin", str(mine), "sizes", "--read", BUNDLED)
        assert done.code == 1, done
        assert any(f"plugin mine: {words}" in line or words in line for line in done.complaints), (text, done.stderr)
        assert done.document["plugins"]["sizes"]["packets"] == done.document["totals"]["packets"]
        assert "bug in zcframe" not in done.stderr


MERGES = """
from copy import copy
from zcframe import PASS, Array, merge, plugin, u64

@plugin
class {name}:
    octets = Array(u64, 1)

    def filter(pkt, state, params):
        state.octets[0] += pkt.wirelen
        return PASS

    def merge(states):
        {body}
"""
BAD_MERGES = {
    "First": "return states[0]",
    "Mean": "made = copy(states[0]); made.octets = sum(s.octets for s in states) // len(states); return made",
    "Last": "return states[-1]",
}


def test_a_merge_that_loses_what_it_is_given_is_told(tmp_path: Path) -> None:
    for name, body in BAD_MERGES.items():
        (tmp_path / f"{name}.py").write_text(MERGES.format(name=name, body=body))
    (tmp_path / "Good.py").write_text(MERGES.format(name="Good", body="return merge(states)"))
    plugins = [str(tmp_path / f"{name}.py") for name in (*BAD_MERGES, "Good")]
    done = zcframe("run", "--json", "--queues", 3, "--plugin", *plugins, "flows", "dns", "synflood", "--read", BUNDLED)
    assert done.code == 0, done
    told = re.findall(r"plugin (\w+): merge\(\) loses or mixes", done.stderr)
    assert told == ["first", "mean", "last"], done.stderr


def test_state_that_no_memory_holds_is_refused_before_the_run(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(MINE.format(length=1 << 40))
    done = zcframe("run", "--plugin", str(mine), "--read", BUNDLED)
    assert (done.code, done.stdout) == (2, "")
    assert "plugin mine: its state takes 1,056,768.0 GiB, counts has 8,192.0 GiB in each of 129 shards" in done.stderr


def test_a_plugin_whose_report_fails_is_named_and_the_rest_reports() -> None:
    done = zcframe("run", "--json", "--plugin", f"{ANALYZERS / 'villains.py'}:BadReport", "sizes", "--read", BUNDLED)
    assert done.code == 1, done
    plugins = done.document["plugins"]
    assert plugins["sizes"]["packets"] == check_books(done.document)["packets"]
    assert "ZeroDivisionError" in plugins["badreport"]["error"]
    assert any("badreport" in line for line in done.complaints)
