"""Files that are missing, strange, cut or damaged: what is whole is delivered, then one line says what is wrong."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.capture_build import (
    BIG,
    LITTLE,
    Record,
    block,
    enhanced,
    flow_records,
    interface,
    obsolete,
    pcap,
    pcap_header,
    pcap_record,
    pcapng,
    section,
    simple,
)
from zcframe.framework.errors import CaptureFileError
from zcframe.framework.sources.capture import CaptureReader, frames

DATA = b"x" * 60


def read_until_error(path: Path) -> tuple[list[bytes], str]:
    """What was delivered, and what was said then ("" at a plain end)."""
    delivered = []
    try:
        for frame, _, _ in frames(str(path)):
            delivered.append(frame)
    except CaptureFileError as error:
        return delivered, str(error)
    return delivered, ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty: no capture header"),
        (b"\xd4\xc3", "is not a capture file: it begins with d4 c3,"),
        (b"hello, world\n" * 10, "is not a capture file: it begins with 68 65 6c 6c 6f 2c 20 77,"),
        (bytes(100), "is not a capture file: it begins with 00 00"),
        (pcap_header()[:23], "is cut short: 23 bytes, less than a capture's header"),
        (section()[:12], "is cut short: 12 bytes, less than a capture's header"),
        # Names of tests hold these bytes: with the time of day in them, processes that share the tests out would differ.
        (gzip.compress(gzip.compress(pcap([Record(DATA)]), mtime=0), mtime=0), "is compressed twice: unpack it once"),
        (gzip.compress(b"", mtime=0), "is empty: no capture header"),
        (gzip.compress(b"hello, world\n", mtime=0), "is not a capture file: it begins with 68 65 6c 6c 6f 2c 20 77,"),
        (gzip.compress(pcap_header()[:23], mtime=0), "is cut short: 23 bytes, less than a capture's header"),
        (bz2.compress(DATA), "is bzip2-compressed: "),
        (lzma.compress(DATA), "is xz-compressed: "),
        (b"\x02\x21\x4c\x18" + DATA, "is lz4-compressed in the legacy format: "),
        (b"\x1f\x9d" + DATA, "is compressed by compress: "),
        (b"\x1f\x8b" + DATA, "is damaged before byte 62: "),
        (b"\x28\xb5\x2f\xfd" + DATA, "is damaged before byte 64: "),
        (b"\x04\x22\x4d\x18" + DATA, "is damaged before byte 64: "),
        (b"\x28\xb5\x2f\xfd", "is cut short at byte 4: its compressed data have no end"),
        (b"snoop\0\0\0" + DATA, "is a snoop capture: convert it with editcap"),
        (pcap_header(version=(2, 5)) + DATA, "is of pcap version 2.5: only 2.0 to 2.4 can be read"),
        (pcap_header(BIG, version=(1, 4)) + DATA, "is of pcap version 1.4: "),
        (section(version=(2, 0)), "has a section of pcapng version 2.0: only 1.x can be read"),
        (b"\x0a\x0d\x0d\x0a" + bytes(60), "is damaged at byte 0: a section header has 00 00 00 00 for its byte"),
    ],
)  # fmt: skip
def test_what_is_no_capture(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(CaptureFileError) as caught:
        CaptureReader(str(path))
    assert str(caught.value).startswith(f"{path} {text}")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CaptureFileError, match=r"cannot open .*none.pcap: No such file or directory"):
        CaptureReader(str(tmp_path / "none.pcap"))
    with pytest.raises(CaptureFileError, match="is a directory: name the capture files in it"):
        CaptureReader(str(tmp_path))


def test_a_terminal_is_not_waited_for() -> None:
    ends = os.openpty()
    with pytest.raises(CaptureFileError, match="is a terminal: pipe a capture into it"):
        CaptureReader(os.ttyname(ends[1]))
    for end in ends:
        os.close(end)


def test_a_failed_open_leaves_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"nothing of the kind")
    before = os.listdir("/proc/self/fd")
    for name in ("bad", "none", "."):
        with pytest.raises(CaptureFileError):
            CaptureReader(str(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before


RECORDS = flow_records(5, size=37)


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_pcap_cut_at_every_byte(tmp_path: Path, order: str) -> None:
    whole, path = pcap(RECORDS, order), tmp_path / "a.pcap"
    size = 16 + len(RECORDS[0].data)
    for cut in range(24, len(whole)):
        path.write_bytes(whole[:cut])
        delivered, text = read_until_error(path)
        count, rest = divmod(cut - 24, size)
        assert delivered == [record.data for record in RECORDS[:count]]
        needed = size if rest >= 16 else 16
        expected = f"the last record needs {needed} bytes, {rest} are there; the {count} whole records before it"
        at = f"is cut short at byte {24 + count * size}"
        assert text == ("" if rest == 0 else f"{path} {at}: {expected} were delivered")


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_pcapng_cut_at_every_byte(tmp_path: Path, order: str) -> None:
    """After each whole block it is a capture again; anywhere else it is one cut short."""
    blocks = [section(order), interface(1, 0, order), enhanced(DATA, 1, order), simple(DATA[:31], order)]
    blocks += [block(99, b"unknown", order), obsolete(DATA[:33], 7, order), interface(1, 0, order)]
    whole, path = b"".join(blocks), tmp_path / "a.pcapng"
    ends = [sum(map(len, blocks[: i + 1])) for i in range(len(blocks))]
    expected = {ends[2]: DATA, ends[3]: DATA[:31], ends[5]: DATA[:33]}
    for cut in range(24, len(whole) + 1):
        path.write_bytes(whole[:cut])
        delivered, text = read_until_error(path)
        assert delivered == [frame for end, frame in expected.items() if end <= cut]
        assert (
            text == ""
            if cut in ends
            else text.startswith(f"{path} is cut short at byte {max((0, *(e for e in ends if e < cut)))}: the last")
        )


def damaged_pcap(length: int) -> bytes:
    return pcap(RECORDS[:2]) + struct.pack("<IIII", 1, 2, length, 60) + DATA


HEAD = section() + interface(1)
FRAME = enhanced(DATA, 1)
GOOD = HEAD + FRAME
LIAR = block(1, struct.pack("<HHIHH4s", 1, 0, 0, 2, 99, b"eth0"))
CROOKED = struct.pack("<II", 99, 13) + b"x" + struct.pack("<I", 13)
ODD = block(1, struct.pack("<HHIHHI", 1, 0, 0, 9, 4, 6))


def patched(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + struct.pack("<I", value) + data[offset + 4 :]


@pytest.mark.parametrize(
    ("data", "delivered", "offset", "what"),
    [
        (damaged_pcap(262145), 2, 24 + 2 * 103, "a frame claims 262145 bytes, above the 262144 that any can have"),
        (damaged_pcap(0xFFFFFFFF), 2, 24 + 2 * 103, "a frame claims 4294967295 bytes"),
        (GOOD + patched(FRAME, 4, 13), 1, len(GOOD), "a block claims 13 bytes"),
        (GOOD + CROOKED, 1, len(GOOD), "a block claims 13 bytes"),
        (GOOD + patched(FRAME, 4, 8), 1, len(GOOD), "a block claims 8 bytes"),
        (HEAD + patched(FRAME, 4, 0), 0, len(HEAD), "a block claims 0 bytes"),
        (HEAD + patched(FRAME, 4, 0xFFFFFFFC), 0, len(HEAD), "a block claims 4294967292 bytes"),
        (HEAD + patched(FRAME, 4, (16 << 20) + 4), 0, len(HEAD), "a block claims 16777220 bytes"),
        (GOOD + patched(FRAME, len(FRAME) - 4, 77), 1, len(GOOD), "a block's end claims another length"),
        (HEAD + patched(FRAME, 20, 61 << 2), 0, len(HEAD), "a frame claims 244 bytes, more than its block holds"),
        (HEAD + patched(FRAME, 20, 262145), 0, len(HEAD), "a frame claims 262145 bytes, above"),
        (HEAD + patched(FRAME, 8, 1), 0, len(HEAD), "a frame came from interface 1, which is not described"),
        (HEAD + patched(FRAME, 8, 0x80000000), 0, len(HEAD), "a frame came from interface 2147483648"),
        (section() + simple(DATA), 0, len(section()), "a frame came from interface 0, which is not described"),
        (HEAD + simple(DATA, wire=64), 0, len(HEAD), "a frame claims 64 bytes, more than its block holds"),
        (HEAD + block(6, bytes(16)), 0, len(HEAD), "a block claims 28 bytes"),
        (HEAD + block(3, b""), 0, len(HEAD), "a block claims 12 bytes"),
        (GOOD + patched(section(), 4, 24), 1, len(GOOD), "a block claims 24 bytes"),
        (GOOD + patched(section(), 8, 1), 1, len(GOOD), "a section header has 01 00 00 00 for its byte"),
        (GOOD + patched(section(), 24, 7), 1, len(GOOD), "a block has 28 bytes by its beginning, 7 by"),
        (GOOD + block(1, b"1234"), 1, len(GOOD), "a block claims 16 bytes"),
        (GOOD + LIAR, 1, len(GOOD), "an interface's option 2 claims 99 bytes, more than its block holds"),
        (GOOD + ODD, 1, len(GOOD), "an interface's if_tsresol or if_tsoffset has a wrong size"),
        (GOOD + interface(tsresol=20), 1, len(GOOD), "an interface has timestamps in units of 10^-20 s"),
        (GOOD + interface(tsresol=0xC0), 1, len(GOOD), "an interface has timestamps in units of 2^-64 s"),
    ],
)  # fmt: skip
def test_damage(tmp_path: Path, data: bytes, delivered: int, offset: int, what: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data + FRAME)
    frames_there, text = read_until_error(path)
    assert len(frames_there) == delivered
    assert text.startswith(f"{path} is damaged at byte {offset}: {what}")
    assert text.endswith(f"; the {delivered} whole records before it were delivered")


@pytest.mark.needs("tshark")
@pytest.mark.parametrize(
    "data",
    [
        damaged_pcap(262145),
        pcap(RECORDS)[:-1],
        pcap(RECORDS)[:-100],
        HEAD + FRAME + patched(FRAME, 20, 61 << 2),
        HEAD + FRAME + patched(FRAME, 8, 1),
        HEAD + FRAME + patched(FRAME, len(FRAME) - 4, 77),
        HEAD + FRAME + FRAME[:-1],
    ],
)
def test_tshark_delivers_as_many_and_complains_too(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    tshark = subprocess.run(["tshark", "-n", "-r", str(path)], capture_output=True, text=True, check=False, timeout=60)
    delivered, text = read_until_error(path)
    assert text
    assert tshark.returncode != 0
    assert len(tshark.stdout.splitlines()) == len(delivered)


@pytest.mark.parametrize("build", [pcap, pcapng])
def test_a_pipe_in_small_pieces(build: Callable[[list[Record]], bytes]) -> None:
    records = flow_records(300)
    data = build(records)
    reading, writing = os.pipe()

    def feed() -> None:
        at = 0
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            while at < len(data):
                at += pipe.write(data[at : at + 1 + at * 7919 % 97])

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert [frame for frame, _, _ in frames(f"/dev/fd/{reading}")] == [record.data for record in records]
    feeder.join()
    os.close(reading)


def test_standard_input(tmp_path: Path) -> None:
    """Read in a process of its own, through a pipe and from a file."""
    program = "from zcframe.framework.sources.capture import frames; print(sum(1 for _ in frames('-')))"
    data = pcap(flow_records(1000))
    (tmp_path / "a.pcap").write_bytes(data)
    piped = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True, timeout=120)
    with (tmp_path / "a.pcap").open("rb") as file:
        direct = subprocess.run(
            [sys.executable, "-c", program], stdin=file, capture_output=True, check=True, timeout=120
        )
    assert piped.stdout == direct.stdout == b"1000\n"


def test_damage_in_the_first_blocks_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(section() + interface(tsresol=99) + FRAME)
    with pytest.raises(
        CaptureFileError, match=r"is damaged at byte 28: an interface has timestamps in units of 10\^-99 s"
    ):
        CaptureReader(str(path))


def test_a_cut_in_the_first_interface(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(HEAD[:-5])
    delivered, text = read_until_error(path)
    assert not delivered
    assert "is cut short at byte 28: the last record needs " in text


def test_old_versions_are_read_to_their_damage(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(pcap_header(version=(2, 2)) + pcap_record(Record(DATA)) + struct.pack("<IIII", 1, 2, 60, 1 << 30))
    delivered, text = read_until_error(path)
    assert delivered == [DATA]
    assert "a frame claims 1073741824 bytes" in text
