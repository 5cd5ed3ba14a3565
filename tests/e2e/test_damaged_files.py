"""Damaged files among whole ones: the whole ones are read, each damaged one is named in a line, and the exit code is 1."""

from __future__ import annotations

import gzip
import itertools
import os
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.capture_build import (
    BIG,
    Record,
    enhanced,
    flow_records,
    interface,
    pcap,
    pcapng,
    section,
)
from tests.kit.checks import check_books
from tests.kit.command import Finished, together, zcframe

# Nothing but whole records: 5 frames.
WHOLE = 5
RECORDS = flow_records(3)
GARBAGE_LENGTH = pcap(RECORDS) + struct.pack("<IIII", 1, 2, 1 << 31, 60) + bytes(100)
BAD_BLOCK = pcapng(RECORDS) + struct.pack("<II", 6, 7) + bytes(40)

# What a file holds, how many whole records that is, and what its line says.
DAMAGED: dict[str, tuple[bytes, int, str]] = {
    "cut-in-header.pcap": (pcap([])[:20], 0, "is cut short: 20 bytes, less than a capture's header"),
    "cut-in-section.pcapng": (section()[:11], 0, "is cut short: 11 bytes"),
    "cut-in-record.pcap": (pcap(RECORDS)[:-1], 2, "is cut short at byte 156: the last record needs 66 bytes, 65 are"),
    "cut-big.pcapng": (pcapng(RECORDS, BIG)[:-4], 2, "is cut short at byte "),
    "garbage-length.pcap": (GARBAGE_LENGTH, 3, "is damaged at byte 222: a frame claims 2147483648 bytes"),
    "bad-block.pcapng": (BAD_BLOCK, 3, "is damaged at byte "),
    "empty.pcap": (b"", 0, "is empty: no capture header"),
    "noise.pcap": (b"no capture" * 50, 0, "is not a capture file: it begins with 6e 6f 20 63"),
    "cut.pcap.gz": (
        gzip.compress(pcap(RECORDS), 0)[:-40],
        2,
        "is cut short at byte 205: its compressed data have no end",
    ),
    "cut-inside.pcap.gz": (
        gzip.compress(pcap(RECORDS)[:-1]),
        2,
        "is cut short at byte 156 (unpacked): the last record",
    ),
    "garbage-behind.gz": (gzip.compress(pcap(RECORDS)) + b"more", 3, "no compressed data begin with 6d 6f 72 65"),
    "old.pcap": (struct.pack("<IHHiIII", 0xA1B2C3D4, 9, 0, 0, 0, 0, 1), 0, "is of pcap version 9.0"),
    "usb.pcap": (pcap(RECORDS, link=220), 3, "cannot be replayed: no IP is read from it"),
    "usb.pcapng": (pcapng(RECORDS, link=220), 3, "cannot be replayed: no IP is read from it"),
}


def write(folder: Path) -> Path:
    for name, (data, _, _) in DAMAGED.items():
        (folder / name).write_bytes(data)
    whole = folder / "whole.pcap"
    whole.write_bytes(pcap(flow_records(WHOLE)))
    return whole


def run(*files: Path, more: tuple[str, ...] = ()) -> list[object]:
    return ["run", "--json", "--queues", "1", *more, "--read", *files]


def lines_of(done: Finished) -> list[str]:
    """What stderr says, warnings included, without what is said of the machine."""
    return [line for line in done.stderr.splitlines() if "CPU" not in line]


def check(done: Finished, packets: int, named: list[str]) -> None:
    """So many packets, exit code 1, one line for each of the named files and one that sums up."""
    assert done.code == 1, done
    assert check_books(done.document)["packets"] == packets
    for name in named:
        lines = [line for line in lines_of(done) if f"/{name} " in line and DAMAGED[name][2] in line]
        assert len(lines) == 1, (name, done.stderr)
    assert f"{len(named)} of " in done.complaints[-1], done.stderr
    assert all(name in done.complaints[-1] for name in sorted(named, key=list(DAMAGED).index)[:8])


def test_damage_in_front_of_a_whole_file(tmp_path: Path) -> None:
    whole = write(tmp_path)
    names = ("cut-in-section.pcapng", "cut-in-record.pcap", "bad-block.pcapng", "usb.pcap")
    for name, done in zip(names, together(*(run(tmp_path / name, whole) for name in names)), strict=True):
        check(done, DAMAGED[name][1] + WHOLE, [name])


def test_all_of_them_between_whole_ones(tmp_path: Path) -> None:
    whole = write(tmp_path)
    records = sum(count for _, count, _ in DAMAGED.values())
    files = [*itertools.chain(*((tmp_path / name, whole) for name in DAMAGED))]
    once, thrice, paced = together(
        run(whole, *files), run(*files, more=("--loop", "3")), run(*files, more=("--speed", "original"))
    )
    check(once, records + (len(DAMAGED) + 1) * WHOLE, list(DAMAGED))
    check(thrice, 3 * (records + len(DAMAGED) * WHOLE), list(DAMAGED))
    check(paced, records + len(DAMAGED) * WHOLE, list(DAMAGED))
    # Of which two captures of a link type that is not read, each named, the type itself once.
    assert once.document["source"]["passed_over"] == {"USB_LINUX_MMAPPED (220)": 6}
    assert once.stderr.count("has records of link type USB_LINUX_MMAPPED (220)") == 1


def test_what_the_command_gets_wrong_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Every such name at once: a typing error is not worth a run of hours."""
    whole = write(tmp_path)
    done = zcframe(*run(whole, tmp_path / "none.pcap", tmp_path / "empty.pcap", tmp_path))
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.complaints
    assert "none.pcap: No such file" in line
    assert "is a directory" in line


def test_nothing_but_damage_is_refused_before_anything_runs(tmp_path: Path) -> None:
    write(tmp_path)
    done = zcframe(*run(tmp_path / "empty.pcap", tmp_path / "noise.pcap", tmp_path / "usb.pcap"))
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.complaints
    assert all(name in line for name in ("empty.pcap", "noise.pcap", "USB_LINUX_MMAPPED (220)"))


def test_a_plan_names_what_cannot_be_read(tmp_path: Path) -> None:
    whole = write(tmp_path)
    done = zcframe("run", "--check", "--read", whole, tmp_path / "empty.pcap")
    assert done.code == 0, done
    assert "empty.pcap is empty: no capture header" in done.stderr


def test_a_pipe_whose_writer_dies_in_a_record(tmp_path: Path) -> None:
    whole, fifo = write(tmp_path), tmp_path / "cut-in-record.fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(pcap(RECORDS)[:-1]))
    writer.start()
    done = zcframe(*run(fifo, whole))
    writer.join()
    assert (done.code, check_books(done.document)["packets"]) == (1, 2 + WHOLE), done
    assert "cut-in-record.fifo is cut short at byte 156" in done.stderr


def test_a_prediction_reads_the_others_too(tmp_path: Path) -> None:
    whole = write(tmp_path)
    damaged = [tmp_path / name for name in ("cut-in-record.pcap", "empty.pcap")]
    done = zcframe("rss", "--json", "--read", damaged[0], whole, damaged[1], tmp_path / "none.pcap", whole)
    assert (done.code, done.document["packets"]) == (1, 2 + 2 * WHOLE), done
    assert [path in done.stderr for path in ("cut-in-record.pcap is cut", "empty.pcap is empty", "none.pcap: No")]
    assert done.complaints[-1] == "zcframe: 3 of 5 files could not be read whole"


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("build", [pcap, pcapng])
def test_as_many_records_as_capinfos_counts(tmp_path: Path, build: Callable[[list[Record]], bytes]) -> None:
    cut, whole = tmp_path / "1", tmp_path / "2"
    cut.write_bytes(build(flow_records(20))[:-7])
    whole.write_bytes(build(flow_records(7)))
    listed = subprocess.run(["capinfos", "-TrcM", cut, whole], capture_output=True, text=True, check=False).stdout
    counts = [int(line.split("\t")[1]) for line in listed.splitlines()]
    done = zcframe(*run(cut, whole))
    assert (done.code, check_books(done.document)["packets"]) == (1, sum(counts))


# --- times that leap

BASE = 1_700_000_000 * 10**9
HOUR = 3600 * 10**9


def at(*offsets: int) -> bytes:
    frames = flow_records(len(offsets))
    return pcap([Record(frame.data, BASE + offset) for frame, offset in zip(frames, offsets, strict=True)])


def test_leaps_of_a_recording_are_told_and_hold_nothing_up(tmp_path: Path) -> None:
    """One wrong time; a permanent step; many steps, told in two lines; a bound of the operator's own."""
    ms = 10**6
    files = {
        "wrong": at(0, 18 * HOUR, 2 * ms, 3 * ms),
        "2106": at(0, ms, 2 * ms, (2**32 - 1) * 10**9 - BASE, 4 * ms),
        "step": at(0, ms, 18 * HOUR, 18 * HOUR + ms),
        "back": at(0, ms, -18 * HOUR, -18 * HOUR + ms),
        "many": at(*(i * 86400 * 10**9 + j * ms for i in range(20) for j in range(3))),
        "quiet": at(0, 10 * ms, 20 * ms),
    }
    commands = []
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        commands.append(run(tmp_path / name, more=("--speed", "original", "--max-gap", "0.01")))
    wrong, far, step, back, many, quiet = together(*commands)
    assert [done.code for done in (wrong, far, step, back, many, quiet)] == [0] * 6
    assert [check_books(d.document)["packets"] for d in (wrong, far, step, back, many)] == [4, 5, 4, 4, 60]
    assert "wrong: the time of packet 2 is 18 h ahead of those around it: it goes at once" in wrong.stderr
    assert "2106: the time of packet 4 is " in far.stderr
    assert "step: packet 3 comes 17 h 59 min after the one before it: this gap is shortened to 0.01 s" in step.stderr
    assert "back: the time of packet 3 is 18 h behind the one before it" in back.stderr
    assert [len(lines_of(done)) for done in (wrong, far, step, back, quiet)] == [1, 1, 1, 1, 0]
    assert lines_of(many)[-1].endswith("many: 19 leaps in time: 19 gaps shortened to 0.01 s")
    assert len(lines_of(many)) == 2


def test_records_of_an_odd_link_type_beside_others(tmp_path: Path) -> None:
    """Counted, told once, passed over; in the books as any other frame, and named by link type in the document."""
    path, frames = tmp_path / "a.pcapng", flow_records(3)
    usb = enhanced(b"u" * 64, 0, number=0)
    sound = b"".join(enhanced(frame.data, frame.ns, number=1) + usb for frame in frames)
    path.write_bytes(section() + interface(220) + interface(1) + usb + sound)
    done, text = together(run(path, more=("--loop", "2")), ["run", "--read", path, "--queues", "1"])
    assert done.code == 0, done
    totals = check_books(done.document)
    assert (totals["packets"], totals["ledger"]["accepted"]) == (14, 14)
    assert done.document["source"]["passed_over"] == {"USB_LINUX_MMAPPED (220)": 8}
    assert done.document["plugins"]["flows"]["packets"] == 6
    (line,) = lines_of(done)
    assert "a.pcapng has records of link type USB_LINUX_MMAPPED (220)" in line
    assert "passed over, as their link types are not read: 4 of USB_LINUX_MMAPPED (220)" in text.stdout
