"""Compressed captures against the commands that compress them and the readers of Wireshark."""

from __future__ import annotations

import gzip
import itertools
import os
import random
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.capture_build import Record, flow_records, pcap, pcap_header, pcapng
from tests.kit.places import BUNDLED
from zcframe.framework.errors import CaptureFileError
from zcframe.framework.sources.capture import CaptureReader, compressed, frames

TOOLS = ("gzip", "zstd", "lz4")
# What the libraries take at once is far less than this capture.
RECORDS = flow_records(4000, size=700)
# Nothing can be made of these, so that a byte of a compressed file is about one of its records.
NOISE = [Record(random.Random(number).randbytes(700)) for number in range(2000)]


def squeezed(tool: str, data: bytes, *options: str) -> bytes:
    return subprocess.run([tool, "-c", *options], input=data, capture_output=True, check=True).stdout


def small_blocks(tool: str, data: bytes) -> bytes:
    """In blocks of 64 (lz4) or 128 KiB: a block counts as a whole, or not at all."""
    return squeezed(tool, data, *(["-B4"] if tool == "lz4" else []))


def unpacked_by(tool: str, data: bytes) -> bytes:
    """What the command unpacks before it ends, or gives up."""
    return subprocess.run([tool, "-dc"], input=data, capture_output=True, check=False).stdout


def read(path: Path) -> tuple[list[bytes], str]:
    delivered = []
    try:
        for frame, _, _ in frames(str(path)):
            delivered.append(frame)
    except CaptureFileError as error:
        return delivered, str(error)
    return delivered, ""


@pytest.fixture(
    params=[pytest.param(tool, marks=pytest.mark.needs(tool)) for tool in TOOLS if tool != "gzip"] + ["gzip"]
)
def tool(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("build", [pcap, pcapng])
def test_frames_times_and_link_types_as_uncompressed(tmp_path: Path, tool: str, build: Callable[..., bytes]) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "named-as-nothing"
    plain.write_bytes(build(RECORDS))
    packed.write_bytes(squeezed(tool, plain.read_bytes()))
    assert list(frames(str(packed))) == list(frames(str(plain)))
    reader = CaptureReader(str(packed))
    assert reader.link_types == ("ETHERNET",)
    assert (reader.window.regular, reader.window.packed) == (True, True)
    reader.close()


@pytest.mark.needs("tshark")
def test_as_many_packets_and_bytes_as_capinfos_reads(tmp_path: Path, tool: str) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(squeezed(tool, BUNDLED.read_bytes()))
    told = subprocess.run(["capinfos", "-TrcdM", path], capture_output=True, text=True, check=True).stdout.split("\t")
    ours = list(frames(str(path)))
    assert [len(ours), sum(wire for _, wire, _ in ours)] == [int(word) for word in told[1:3]]


@pytest.mark.parametrize("level", ["-1", "-9"])
def test_frames_one_behind_another(tmp_path: Path, tool: str, level: str) -> None:
    """Also cut where no record begins, empty ones among them, and with one by another tool at the end."""
    whole, path = pcap(RECORDS), tmp_path / "a"
    cuts = [0, 7, 24, 100, 100, 30_001, 1_000_003, len(whole) - 1]
    parts = [squeezed(tool, whole[a:b], level) for a, b in itertools.pairwise(cuts)]
    path.write_bytes(b"".join(parts) + gzip.compress(whole[-1:]))
    assert read(path) == ([record.data for record in RECORDS], "")


def test_frames_of_a_byte_each(tmp_path: Path, tool: str) -> None:
    whole, path = pcap(RECORDS[:3]), tmp_path / "a"
    each = {byte: squeezed(tool, bytes([byte])) for byte in set(whole)}
    path.write_bytes(b"".join(each[byte] for byte in whole))
    assert read(path) == ([record.data for record in RECORDS[:3]], "")


def test_frames_that_unpack_to_nothing(tmp_path: Path) -> None:
    """Skippable frames, at the beginning as pzstd writes them, and zeros that pad a tape."""
    skippable, path = struct.pack("<II", 0x184D2A5F, 70_000) + bytes(70_000), tmp_path / "a"
    path.write_bytes(skippable + gzip.compress(pcap(RECORDS)) + bytes(100_000) + skippable + bytes(3))
    assert read(path) == ([record.data for record in RECORDS], "")


@pytest.mark.parametrize("left", [1, 3, 10, 1000, 70_001, 200_000])
def test_what_stands_before_a_cut_counts(tmp_path: Path, tool: str, left: int) -> None:
    """As far as the tool unpacks it itself; the compressor makes small blocks, so that there is something."""
    path, data = tmp_path / "a", small_blocks(tool, pcap(NOISE))
    path.write_bytes(data[:-left])
    there = (len(unpacked_by(tool, path.read_bytes())) - 24) // (16 + 700)
    delivered, text = read(path)
    assert delivered == [record.data for record in NOISE[: len(delivered)]]
    assert len(delivered) >= there > 1000 or left > 100_000
    assert text == (
        f"{path} is cut short at byte {len(data) - left}: its compressed data have no end; the {len(delivered)} whole"
        " records before it were delivered"
    )


@pytest.mark.parametrize("seed", range(6))
def test_what_stands_before_damage_counts(tmp_path: Path, tool: str, seed: int) -> None:
    """gzip: all that the command gets out. zstd and lz4: all but what one call had unpacked."""
    chance = random.Random(seed)
    data = bytearray(small_blocks(tool, pcap(NOISE)))
    at = chance.randrange(200_000, len(data) - 100)
    data[at : at + 8] = bytes(byte ^ 0xFF for byte in data[at : at + 8])
    path = tmp_path / "a"
    path.write_bytes(data)
    sound = unpacked_by(tool, data)
    delivered, text = read(path)
    if tool == "gzip":
        expected = whole_frames(sound)
        assert delivered[: len(expected)] == expected
    assert len(delivered) * 716 >= len(sound) - 2 * compressed.PIECE - (1 << 17)
    intact = (at - (1 << 17)) // 716
    assert delivered[:intact] == [record.data for record in NOISE[:intact]]
    assert text.startswith(f"{path} is damaged before byte ")
    assert text.endswith(f"; the {len(delivered)} whole records before it were delivered")


def whole_frames(data: bytes) -> list[bytes]:
    """Of a capture that may be cut, by a reader of its own."""
    found, at = [], 24
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        found += [data[at + 16 : at + 16 + length]] if at + 16 + length <= len(data) else []
        at += 16 + length
    return found


def test_a_sum_that_does_not_fit(tmp_path: Path) -> None:
    """Everything is there; that something in it is wrong shows at the end only."""
    path, data = tmp_path / "a", bytearray(gzip.compress(pcap(RECORDS)))
    data[-8] ^= 1
    path.write_bytes(data)
    delivered, text = read(path)
    assert delivered == [record.data for record in RECORDS]
    assert "incorrect data check; the 4000 whole records" in text


def test_a_bomb_takes_no_memory(tmp_path: Path, tool: str) -> None:
    """256 MB of empty records in a few of a thousand of that, to a process that may map 64 MB more than it has."""
    path = tmp_path / "bomb"
    with path.open("wb") as file:
        squeeze = subprocess.Popen([tool, "-c"], stdin=subprocess.PIPE, stdout=file)
        assert squeeze.stdin
        squeeze.stdin.write(pcap_header())
        for _ in range(256):
            squeeze.stdin.write(bytes(1 << 20))
        squeeze.stdin.close()
        assert squeeze.wait() == 0
    code = (
        "import resource, sys\n"
        "from zcframe.framework.sources.capture import CaptureReader\n"
        "reader = CaptureReader(sys.argv[1]); reader.compile()\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20),) * 2)\n"
        "count = 0\n"
        "while rows := reader.read(): count += rows\n"
        "print(count)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{(256 << 20) // 16}\n", "")


@pytest.mark.needs("zstd")
def test_a_history_above_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(squeezed("zstd", pcap(RECORDS), "--long=30"))
    assert read(path)[1].startswith(f"{path} is damaged before byte ")
    assert "too much memory" in read(path)[1]


def test_through_a_pipe_as_it_comes(tmp_path: Path, tool: str) -> None:
    """What has been flushed is handed out before the writer goes on."""
    path, turn = tmp_path / "fifo", threading.Event()
    os.mkfifo(path)
    first, rest = (squeezed(tool, part) for part in (pcap(RECORDS[:5]), pcap(RECORDS[5:])[24:]))

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(first)
            turn.wait(60)
            file.write(rest[:100])
            file.write(rest[100:])

    writer = threading.Thread(target=write)
    writer.start()
    reader = CaptureReader(str(path))
    assert not reader.window.regular
    assert reader.read() == 5
    turn.set()
    while reader.read():
        pass
    writer.join()
    assert reader.delivered == len(RECORDS)
    reader.close()


def test_progress_is_in_bytes_of_the_file(tmp_path: Path, tool: str) -> None:
    path, data = tmp_path / "a", pcap(NOISE)
    path.write_bytes(small_blocks(tool, data[:700_000]) + small_blocks(tool, data[700_000:]))
    reader, seen = CaptureReader(str(path)), [0]
    while reader.read():
        seen.append(reader.window.done)
    assert seen == sorted(seen)
    assert seen[-1] == reader.window.size == path.stat().st_size
    reader.open(str(path))
    assert reader.window.done < path.stat().st_size
    assert reader.read() > 0
    reader.close()


def test_without_a_library_for_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("backports", "backports.zstd", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "a"
    path.write_bytes(compressed.MAGICS["zstd"] + bytes(60))
    assert read(path)[1].startswith(f"{path} is zstd-compressed: pipe it in with zstdcat, as here ")
