"""Readers of a FIFO that leave and come: each has a stream of its own, and to the frame it is known what it took."""

from __future__ import annotations

import functools
import os
import random
import select
import signal
import struct
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.kit.command import Background, until
from tests.kit.places import BUNDLED

MAGIC = struct.pack("=I", 0xA1B23C4D)
SWITCHES = 60


def words(fifo: Path, *more: object) -> tuple[object, ...]:
    source = ("run", "--json", "--read", BUNDLED, "--loop", 0, "--plugin", "sizes", "--queues", 2)
    return (*source, "--out", f"fifo:{fifo}", *more)


def take(fd: int, least: int) -> bytes:
    """Bytes of a stream, so many at least."""
    data = b""
    while len(data) < least:
        got = os.read(fd, 1 + least - len(data))
        assert got, "the stream has ended"
        data += got
    return data


def whole(data: bytes) -> int:
    """How many whole records there are behind the header; what follows must be the beginning of one."""
    assert data[:4] == MAGIC, data[:24]
    at, frames = 24, 0
    while at + 16 <= len(data):
        seconds, _, captured, wire = struct.unpack_from("=IIII", data, at)
        assert 1_000_000_000 < seconds < 2_000_000_000 and captured == wire < 2000, f"no record at {at}"
        at += 16 + captured
        frames += at <= len(data)
    return frames


def the_row(document: dict[str, Any]) -> dict[str, Any]:
    ((row,),) = (output["shares"] for output in document["outputs"])
    assert row["offered"] == row["written"] + row["in_flight"] + sum(row["dropped"].values()), row
    return dict(row)


def switch(fifo: Path, fd: int, *, overlap: bool) -> int:
    """A reader leaves, and the next one is there; overlap: already."""
    if not overlap:
        os.close(fd)
        return os.open(fifo, os.O_RDONLY)
    new = os.open(fifo, os.O_RDONLY)
    os.close(fd)
    return new


@pytest.mark.parametrize(("found", "overlap"), [(False, False), (False, True), (True, False)])
def test_readers_that_follow_at_once(tmp_path: Path, found: bool, overlap: bool) -> None:
    """Where one leaves in the middle of a record, the next has a header and whole records, and none of its frames.

    found: a FIFO of somebody else's is not made anew: what was left there is taken out, unless the next one is quicker.
    """
    fifo, dice, streams = tmp_path / "x", random.Random(14), []
    if found:
        os.mkfifo(fifo)
    with Background(tmp_path, *words(fifo, "--pps", "100k")) as run:
        until(fifo.exists)
        fd = os.open(fifo, os.O_RDONLY)
        for _ in range(SWITCHES // 3 if found else SWITCHES):
            streams.append(take(fd, dice.randrange(100, 30_000)))
            fd = switch(fifo, fd, overlap=overlap)
            time.sleep(0.1 if found else 0.0)
        streams.append(take(fd, 1000))
        run.signal(signal.SIGINT)
        while data := os.read(fd, 1 << 16):
            streams[-1] += data
        os.close(fd)
        row = the_row(run.finish().document)
    assert row["readers"] == len(streams)
    assert row["written"] == sum(map(whole, streams)), row
    assert row["dropped"]["unread"] > len(streams) and "uncertain" not in row["dropped"]
    assert fifo.exists() == found and not list(tmp_path.glob(".x*"))


FLOWS = 200


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 frames of 200 flows of two hosts each: the flow, and which frame of the flow it is, behind the header of UDP."""
    path, dice, sent = tmp_path_factory.mktemp("trace") / "numbered.pcap", random.Random(14), [0] * FLOWS
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for number in range(20_000):
            flow = dice.randrange(FLOWS)
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, 106, 0, 0, 64, 17, 0, 0x0A000000 | flow, 0x0B000001)
            frame = b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHHHII", 1000, 53, 86, 0, flow, sent[flow]) + bytes(70)
            file.write(struct.pack("=IIII", 1_700_000_000, number * 1000, len(frame), len(frame)) + frame)
            sent[flow] += 1
    return path


@functools.cache
def lengths() -> Counter[int]:
    """Frames of each flow in the trace."""
    dice = random.Random(14)
    return Counter(dice.randrange(FLOWS) for _ in range(20_000))


def frames(data: bytes) -> list[tuple[int, int]]:
    """(flow, number) of each whole frame; all are of one size."""
    size = 16 + 120
    whole(data)
    return [struct.unpack_from(">II", data, at + 16 + 42) for at in range(24, len(data) - size + 1, size)]


def in_order(found: list[tuple[int, int]], lengths: Counter[int], *, gaps: bool) -> bool:
    """Whether each flow's frames follow one another, and leave none out; the trace begins again behind its end."""
    last: dict[int, int] = {}
    for flow, number in found:
        step = (number - last.get(flow, number - 1)) % lengths[flow]
        if not 0 < step < (lengths[flow] // 2 if gaps else 2):
            return False
        last[flow] = number
    return True


class Cat:
    """A reader in a process of its own, which writes what it reads to a file."""

    def __init__(self, fifo: Path, to: Path) -> None:
        self._to = to
        with to.open("wb") as file:
            self.process = subprocess.Popen(["cat", str(fifo)], stdout=file)

    @property
    def data(self) -> bytes:
        return self._to.read_bytes()

    def has(self, frames: int) -> bool:
        return self._to.stat().st_size > frames * 136


@pytest.mark.parametrize("on_dead", ["drain", "drop"])
def test_one_of_three_readers_is_killed_and_returns(tmp_path: Path, numbered: Path, on_dead: str) -> None:
    """drain: its flows, and no others, go to the other two until it is back; each flow is in order in each share."""
    source = ("run", "--json", "--read", numbered, "--loop", 0, "--pps", "20k", "--plugin", "sizes", "--queues", 2)
    out = ("--out", f"fifo:{tmp_path}/x{{}}", "--shares", 3, "--on-dead", on_dead)
    fifos = [tmp_path / f"x{share}" for share in range(3)]
    with Background(tmp_path, *source, *out) as run:
        until(lambda: all(fifo.exists() for fifo in fifos))
        cats = [Cat(fifo, tmp_path / f"of-{fifo.name}") for fifo in fifos]
        until(lambda: all(cat.has(3000) for cat in cats))
        before = [{flow for flow, _ in frames(cat.data)} for cat in cats]
        cats[1].process.kill()
        cats[1].process.wait()
        so_far = len(frames(cats[0].data))
        until(lambda: cats[0].has(so_far + 3000))
        cats.append(Cat(fifos[1], tmp_path / "of-x1-again"))
        until(lambda: cats[3].has(3000))
        done = run.signal(signal.SIGINT).finish()
        for cat in cats:
            cat.process.wait(10)
    assert done.code == 0, done
    rows = done.document["outputs"][0]["shares"]
    assert all(row["offered"] == row["written"] + sum(row["dropped"].values()) for row in rows), rows
    assert sum(row["offered"] for row in rows) == done.ledger["accepted"]
    lost = done.ledger["arrived"] != done.ledger["accepted"] or any("ring_full" in row["dropped"] for row in rows)
    check_flows([frames(cat.data) for cat in cats], before, moved=on_dead == "drain", gaps=lost)
    counted = [len(frames(cat.data)) for cat in cats]
    assert [rows[0]["written"], rows[2]["written"]] == [counted[0], counted[2]]
    assert rows[1]["written"] >= counted[1] + counted[3] and rows[1]["readers"] == 2
    assert not any("no_reader" in rows[share]["dropped"] for share in (0, 2)), rows
    assert on_dead == "drain" or rows[1]["dropped"]["no_reader"] > 0


def check_flows(found: list[list[tuple[int, int]]], homes: list[set[int]], *, moved: bool, gaps: bool) -> None:
    """found: frames of the shares 0, 1, 2, and of 1 again. homes: flows of each share while all were read."""
    assert sum(map(len, homes)) == len(set().union(*homes)) == FLOWS
    assert all(in_order(stream, lengths(), gaps=gaps) for stream in found)
    seen = [{flow for flow, _ in stream} for stream in found]
    assert seen[1] == seen[3] == homes[1]
    strangers = [seen[share] - homes[share] for share in (0, 2)]
    assert strangers[0] | strangers[1] == (homes[1] if moved else set())
    assert not strangers[0] & strangers[1] and (all(strangers) or not moved)


class Slow(threading.Thread):
    """Reads a FIFO to its end, some 6 MB a second: a capture that waits for it takes its time."""

    def __init__(self, fifo: Path) -> None:
        super().__init__(daemon=True)
        self._fifo, self.data = fifo, bytearray()
        self.start()

    def run(self) -> None:
        with self._fifo.open("rb", buffering=0) as file:
            while data := file.read(1 << 16):
                self.data += data
                time.sleep(0.01)


WORKERS_KILLED, WRITERS_KILLED = 50, 30


def test_workers_are_killed(tmp_path: Path, numbered: Path) -> None:
    """No frame reaches a reader twice, none is missing, none is torn, and each flow is in order in its share."""
    source = ("run", "--json", "--read", numbered, "--loop", 0, "--plugin", "sizes", "--queues", 2)
    fifos = [tmp_path / "x0", tmp_path / "x1"]
    with Background(tmp_path, *source, "--out", f"fifo:{tmp_path}/x{{}}", "--shares", 2) as run:
        until(lambda: all(fifo.exists() for fifo in fifos))
        readers = [Slow(fifo) for fifo in fifos]
        until(lambda: all(reader.data for reader in readers))
        killed = run.kill(WORKERS_KILLED, "zc-rx-")
        done = run.signal(signal.SIGINT).finish()
        for reader in readers:
            reader.join(60)
    assert done.code == 0, done
    rows, found = done.document["outputs"][0]["shares"], [frames(bytes(reader.data)) for reader in readers]
    assert [row["written"] for row in rows] == list(map(len, found))
    assert done.document["totals"]["restarts"] == len(killed) == WORKERS_KILLED
    homes = [{flow for flow, _ in stream} for stream in found]
    assert not homes[0] & homes[1] and all(homes)
    assert all(in_order(stream, lengths(), gaps=False) for stream in found)


def test_a_reader_that_stops_in_a_record_holds_nobody_up(tmp_path: Path, numbered: Path) -> None:
    """Of a paced capture it loses what is counted, and gets whole records up to where it was given up; others get all."""
    fifo, other = tmp_path / "x", tmp_path / "all.pcap"
    source = ("run", "--json", "--read", numbered, "--loop", 0, "--pps", "100k", "--plugin", "sizes", "--queues", 1)
    with Background(tmp_path, *source, "--out", f"fifo:{fifo},buffer=1M", f"pcap:{other}") as run:
        until(fifo.exists)
        fd = os.open(fifo, os.O_RDONLY)
        data = take(fd, 1000)
        until(lambda: other.exists() and other.stat().st_size > 6 << 20)
        done = run.signal(signal.SIGINT).finish()
        while more := os.read(fd, 1 << 16):
            data += more
        os.close(fd)
    assert done.code == 0, done
    stopped, whole_one = (output["shares"][0] for output in done.document["outputs"])
    assert stopped["offered"] == stopped["written"] + sum(stopped["dropped"].values())
    assert stopped["dropped"]["ring_full"] > 0 and stopped["written"] == whole(data)
    assert whole_one["written"] == whole_one["offered"] == done.ledger["accepted"] == len(frames(other.read_bytes()))


class Faithful(threading.Thread):
    """Reads a FIFO to its end again and again, for as long as it is there."""

    def __init__(self, fifo: Path) -> None:
        super().__init__(daemon=True)
        self._fifo, self.streams = fifo, list[bytearray]()
        self.start()

    def run(self) -> None:
        while True:
            try:
                fd = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                return
            self.streams.append(bytearray())
            while select.select([fd], [], []) and (data := os.read(fd, 1 << 16)):
                self.streams[-1] += data
            os.close(fd)


def test_writers_are_killed(tmp_path: Path, numbered: Path) -> None:
    """A reader does not notice, or its stream ends and another begins; what nobody knows is a batch a kill at most."""
    source = ("run", "--json", "--read", numbered, "--loop", 0, "--pps", "100k", "--plugin", "sizes", "--queues", 2)
    fifo = tmp_path / "x"
    with Background(tmp_path, *source, "--out", f"fifo:{fifo}") as run:
        until(fifo.exists)
        reader = Faithful(fifo)
        until(lambda: reader.streams and reader.streams[-1])
        killed = run.kill(WRITERS_KILLED, "zc-out-")
        done = run.signal(signal.SIGINT).finish()
        reader.join(60)
    assert done.code == 0 and not reader.is_alive(), done
    row, streams = the_row(done.document), [bytes(stream) for stream in reader.streams if stream]
    assert done.document["outputs"][0]["restarts"] == len(killed) == WRITERS_KILLED
    got = sum(map(whole, streams))
    assert row["written"] <= got <= row["written"] + row["dropped"].get("uncertain", 0)
    # One whose header was the write in which the writer was killed may have got nothing.
    assert len(streams) <= row["readers"] <= len(reader.streams)
