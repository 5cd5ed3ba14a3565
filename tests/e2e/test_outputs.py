"""Frames leave by files and FIFOs: read by programs that we did not write, and whole whatever is killed on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit.command import Background, Finished, zcframe
from tests.kit.places import BUNDLED

FLOWS = 200
# Of workers and writers. Of a frame its number is kept, so that a fast machine does not fill the disk meanwhile.
KILLS, SNAPLEN = 16, 64


def frames_of(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [bytes(data) for _, data in dpkt.pcap.UniversalReader(file)]


def records(data: bytes) -> Iterator[bytes]:
    """The frames of a pcap with nanoseconds, which must end behind a whole one."""
    assert data[:4] == struct.pack("=I", 0xA1B23C4D)
    at = 24
    while at < len(data):
        captured = struct.unpack_from("=I", data, at + 8)[0]
        assert at + 16 + captured <= len(data), "a torn record"
        yield data[at + 16 : at + 16 + captured]
        at += 16 + captured


def said(*command: object) -> tuple[str, str]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def check_ledger(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Each share's sum holds; returns the rows."""
    rows = [share for output in document["outputs"] for share in output["shares"]]
    for row in rows:
        lost = sum(row["dropped"].values()) + sum(row["shed"].values())
        assert row["offered"] == row["written"] + row["in_flight"] + lost, row
    return rows


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 frames of 200 flows, each with its number."""
    path, rng = tmp_path_factory.mktemp("trace") / "numbered.pcap", random.Random(14)
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for number in range(100_000):
            flow, size = rng.randrange(FLOWS), rng.choice((60, 60, 90, 200, 600, 1514))
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, 0, 0, 64, 17, 0, 0x0A000000 | flow, 0x0B000001)
            head = b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHHHII", 1000 + flow, 53, size - 34, 0, flow, number)
            frame = head + bytes(size - len(head))
            file.write(struct.pack("=IIII", 1_700_000_000, number * 1000, size, size) + frame)
    return path


@pytest.mark.needs("tshark", "tcpdump", "zstd")
def test_files_of_several_queues_are_read_by_others(tmp_path: Path) -> None:
    """In the order of the source, with its bytes and times; without a warning."""
    names = ["a.pcap", "b.pcapng", "c.pcap.zst", "d.pcapng.gz"]
    specs = [f"{'pcapng' if 'ng' in name else 'pcap'}:{tmp_path / name}" for name in names]
    done = zcframe("run", "--json", "--read", BUNDLED, "--queues", 4, "--plugin", "sizes", "--out", *specs)
    assert done.code == 0, done
    assert [row["written"] for row in check_ledger(done.document)] == [8379] * 4
    wanted = said(
        "tshark", "-n", "-r", BUNDLED, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "ip.id"
    )
    for name in names:
        fields = ("-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "ip.id")
        assert said("tshark", "-n", "-r", tmp_path / name, *fields)[0] == wanted[0]
    source = frames_of(BUNDLED)
    assert frames_of(tmp_path / "a.pcap") == frames_of(tmp_path / "b.pcapng") == source
    for name in names[:2]:
        lines, warnings = said("tcpdump", "-n", "-r", tmp_path / name)
        assert len(lines.splitlines()) == 8379
        assert [line for line in warnings.splitlines() if "reading from" not in line] == []
    about = said("capinfos", tmp_path / "b.pcapng")[0]
    assert "Number of interfaces in file: 4" in about and "Number of stat entries = 1" in about


@pytest.mark.needs("tcpdump")
def test_dump_does_as_tcpdump(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.pcap", tmp_path / "theirs.pcap"
    done = zcframe("dump", "-r", BUNDLED, "-w", mine, "-s", 64, "tcp", "port", "80")
    assert done.code == 0, done
    # It does not cut what it reads from a file.
    subprocess.run(["tcpdump", "-r", BUNDLED, "-w", theirs, "tcp port 80"], check=True, capture_output=True)
    assert frames_of(mine) == [frame[:64] for frame in frames_of(theirs)] != []
    assert f"{len(frames_of(theirs))} packets captured" in done.stderr.splitlines()
    assert "0 packets dropped by kernel" in done.stderr.splitlines()


def test_workers_and_writers_are_killed(tmp_path: Path, numbered: Path) -> None:
    """At full speed, all the way: each frame once, whole, in the order of the source."""
    out = tmp_path / "out.pcap"
    words = ("run", "--json", "--read", numbered, "--loop", 0, "--queues", 3, "--plugin", "sizes")
    with Background(tmp_path, *words, "--out", f"pcap:{out},snaplen={SNAPLEN}") as run:
        run.wait_until(lambda: out.exists() and out.stat().st_size > 24, "the first frames")
        killed = run.kill(KILLS, "zc-rx-", "zc-out-")
        done = run.signal(signal.SIGINT).finish()
    assert done.code == 0, done
    (row,) = check_ledger(done.document)
    assert row["written"] == row["offered"] == done.ledger["accepted"]
    assert done.document["outputs"][0]["restarts"] + done.document["totals"]["restarts"] == len(killed) == KILLS
    kept, found = [frame[:SNAPLEN] for frame in records(numbered.read_bytes())], list(records(out.read_bytes()))
    assert len(found) == row["written"]
    assert all(frame == kept[at % len(kept)] for at, frame in enumerate(found))


class Reader:
    """Reads a FIFO in a thread, up to its end or so many bytes."""

    def __init__(self, path: Path, most: int = 1 << 40) -> None:
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, args=(path, most))
        self._thread.start()

    def _read(self, path: Path, most: int) -> None:
        with path.open("rb", buffering=0) as file:
            while len(self.data) < most and (data := file.read(1 << 16)):
                self.data += data

    def join(self) -> bytes:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return bytes(self.data)


def test_shares_by_fifo(tmp_path: Path, numbered: Path) -> None:
    """Nothing flows before the last reader is there; each flow is whole, and in order, in one share."""
    fifos = [tmp_path / f"x{share}" for share in range(3)]
    words = (
        "run",
        "--json",
        "--read",
        numbered,
        "--plugin",
        "sizes",
        "--queues",
        2,
        "--share",
        "ip-pair",
        "--shares",
        3,
    )
    with Background(tmp_path, *words, "--out", f"fifo:{tmp_path}/x{{}}") as run:
        _until_there(fifos)
        readers = [Reader(path) for path in fifos[:2]]
        time.sleep(0.3)
        assert not any(reader.data for reader in readers)
        readers.append(Reader(fifos[2]))
        done = run.finish()
        streams = [list(records(reader.join())) for reader in readers]
    assert done.code == 0, done
    assert [row["written"] for row in check_ledger(done.document)] == [len(stream) for stream in streams]
    assert sum(map(len, streams)) == 100_000 and all(streams)
    assert not any(path.exists() for path in fifos)
    last: dict[bytes, tuple[int, bytes]] = {}
    for share, stream in enumerate(streams):
        for frame in stream:
            owner, number = last.get(frame[42:46], (share, b""))
            assert owner == share and number < frame[46:50]
            last[frame[42:46]] = share, frame[46:50]


def _until_there(paths: list[Path]) -> None:
    deadline = time.monotonic() + 100
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_reader_leaves_in_the_middle_of_a_record_and_returns(tmp_path: Path, numbered: Path) -> None:
    fifo = tmp_path / "x"
    words = ("run", "--json", "--read", numbered, "--loop", 0, "--pps", "100k", "--plugin", "sizes", "--queues", 1)
    with Background(tmp_path, *words, "--out", f"fifo:{fifo}", f"pcap:{tmp_path}/all.pcap") as run:
        _until_there([fifo])
        first = Reader(fifo, 100_000).join()
        time.sleep(0.3)
        second = Reader(fifo, 100_000)
        second.join()
        done = run.signal(signal.SIGINT).finish()
    assert done.code == 0, done
    row, whole = check_ledger(done.document)
    assert row["readers"] == 2 and row["dropped"]["no_reader"] > 0
    # What a writer of its own got does not know of the other.
    assert whole["written"] == whole["offered"] == len(list(records((tmp_path / "all.pcap").read_bytes())))
    for data in (first, bytes(second.data)):
        assert data[:4] == struct.pack("=I", 0xA1B23C4D)
        assert next(records(data[: 24 + 16 + struct.unpack_from("=I", data, 32)[0]]))[14] == 0x45


@pytest.mark.needs("namespaces")
def test_a_full_disk_ends_one_output_and_no_other(tmp_path: Path, numbered: Path) -> None:
    small, other = tmp_path / "small", tmp_path / "other.pcap"
    small.mkdir()
    script = (
        f'mount -t tmpfs -o size=2m none {small} && "$@"; code=$?; cp {small}/x.pcap {tmp_path}/cut.pcap; exit $code'
    )
    specs = (f"pcap:{small}/x.pcap", f"pcap:{other}")
    words = ("run", "--json", "--read", numbered, "--queues", 2, "--plugin", "sizes", "--out", *specs)
    done = zcframe(*words, launcher=("unshare", "-m", "sh", "-c", script, "sh"))
    assert done.code == 1
    (line,) = done.complaints
    assert "x.pcap" in line and "ENOSPC" in line
    full, whole = check_ledger(done.document)
    assert len(list(records((tmp_path / "cut.pcap").read_bytes()))) == full["written"] < 100_000
    assert full["dropped"] == {"failed": 100_000 - full["written"]}
    assert whole["written"] == len(list(records(other.read_bytes()))) == 100_000


def refused(done: Finished, code: int, *words: str) -> None:
    assert (done.code, done.stdout) == (code, ""), done
    (line,) = done.complaints
    assert all(word in line for word in words), line


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Before the first frame, in one line; and nothing is left behind."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    base = ("run", "--json", "--read", BUNDLED, "--queues", 1, "--plugin", "sizes", "--out")
    refused(zcframe(*base, f"pcap:{tmp_path}/none/a.pcap"), 1, "none/a.pcap", "No such file")
    refused(zcframe(*base, f"pcap:{tmp_path}/pipe"), 2, "is a FIFO", f"fifo:{tmp_path}/pipe")
    refused(zcframe(*base, f"fifo:{tmp_path}/file"), 2, "is no FIFO")
    refused(zcframe(*base, f"fifo:{tmp_path}/x{{}}"), 2, "--shares N")
    refused(zcframe(*base, f"pcap:{tmp_path}/a", f"pcapng:{tmp_path}/a"), 2, "already")
    refused(zcframe(*base, "pcap:-"), 2, "--json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]
    assert (tmp_path / "file").read_text() == "x"


def test_interrupted_while_it_waits_for_a_reader(tmp_path: Path) -> None:
    fifo = tmp_path / "x"
    words = ("run", "--json", "--read", BUNDLED, "--queues", 1, "--plugin", "sizes", "--out", f"fifo:{fifo}")
    with Background(tmp_path, *words) as run:
        _until_there([fifo])
        time.sleep(0.2)
        done = run.signal(signal.SIGINT).finish()
    assert done.code == 0, done
    assert check_ledger(json.loads(done.stdout))[0]["offered"] == 0
    assert not fifo.exists()
