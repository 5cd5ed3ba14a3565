"""pcapng files of captures that lose frames: what tshark and capinfos find there against the frames that are missing."""

from __future__ import annotations

import re
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.kit.command import Background, until

FRAMES = 60_000
NUMBER_AT = 42

pytestmark = pytest.mark.needs("tshark")


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """Frames of one flow, each with its number."""
    path = tmp_path / "numbered.pcap"
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, 0x0A000001, 0x0B000001)
    head = b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHHH", 1000, 53, 26, 0)
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for number in range(FRAMES):
            frame = head + struct.pack(">I", number) + bytes(14)
            file.write(struct.pack("=IIII", 1_700_000_000, number * 1000, len(frame), len(frame)) + frame)
    return path


def fields(path: Path, *names: str) -> list[list[str]]:
    words = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for name in names for word in ("-e", name))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [line for line in done.stderr.splitlines() if "Running as user" not in line] == []
    return [line.split("\t") for line in done.stdout.splitlines()]


def drops(path: Path) -> int:
    """Of the statistics block at the end of a file: frames dropped since the start of the capture."""
    about = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, check=True)
    assert about.stderr == "" and "Number of stat entries = 1" in about.stdout
    data = path.read_bytes()
    (size,) = struct.unpack_from("=I", data, len(data) - 4)
    block = data[-size:]
    assert struct.unpack_from("=I", block) == (5,)
    options = {}
    at = 20
    while (code := struct.unpack_from("=H", block, at)[0]) != 0:
        (length,) = struct.unpack_from("=H", block, at + 2)
        options[code] = block[at + 4 : at + 4 + length]
        at += 4 + -(-length // 4) * 4
    return int.from_bytes(options[5], "little")


def test_each_gap_is_told_behind_it_and_in_the_statistics(tmp_path: Path, numbered: Path) -> None:
    """In a ring that overflows, since its worker stands still; the numbers that are missing say what was lost where."""
    out = tmp_path / "out.pcapng"
    words = ("run", "--json", "--stats-interval", 0.05, "--read", numbered, "--pps", 20_000, "--queues", 1)
    words = (*words, "--ring-slots", 256, "--plugin", "sizes", "--out", f"pcapng:{out},size=2")
    with Background(tmp_path, *words).flowing() as run:
        for _ in range(3):
            time.sleep(0.4)
            (worker,) = run.workers()
            lost = run.ledger["ring_full"]
            worker.suspend()
            until(lambda before=lost: run.ledger["ring_full"] > before, what="frames that find no room")
            worker.resume()
        done = run.finish()
    assert done.code == 0, done.stderr
    lost = done.ledger["ring_full"]
    files = sorted(tmp_path.glob("out.pcapng*"), key=lambda path: int(path.name.removeprefix("out.pcapng") or 0))
    rows = [row for path in files for row in fields(path, "udp.payload", "frame.comment")]
    numbers = [int(row[0][:8], 16) for row in rows]
    assert numbers == sorted(set(numbers)) and len(numbers) == FRAMES - lost
    told = 0
    for place, (number, row) in enumerate(zip(numbers, rows, strict=True)):
        if row[1]:
            found = re.fullmatch(r"frames lost before this one: \S+/0 ring_full (\d+)", row[1])
            assert found is not None, row
            told += int(found[1])
            # All of them are missing before this frame: the gap is not behind the place where it is told.
            assert told <= number - place
    # What is lost behind the last comment stands in the statistics only.
    assert 0 < told <= lost
    assert len(files) > 1
    totals = [drops(path) for path in files]
    assert totals == sorted(totals) and totals[-1] == lost
