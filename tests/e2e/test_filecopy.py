"""`zcframe dump -r`: what tcpdump -r -w makes of the same file, and a whole file whatever ends it."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import dpkt
import pytest

from tests.kit.command import Background, Finished, until, zcframe
from tests.kit.places import BUNDLED

FRAMES = 20_000
HEAD = 24
FILTER = ("udp", "and", "not", "port", "53")
LINKTYPE_RAW = 101


def write_pcap(path: Path, linktype: int = 1, order: str = "=", frames: int = FRAMES) -> Path:
    """UDP with ports and sizes by chance, four milliseconds apart, in microseconds."""
    rng = random.Random(14)
    with path.open("wb") as file:
        file.write(struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype))
        for number in range(frames):
            size, port = rng.choice((60, 61, 200, 601, 1514)), rng.choice((53, 443, 5353))
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, number & 0xFFFF, 0, 64, 17, 0, 0x0A000001, 0x0B000001)
            frame = b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHHH", 1000, port, size - 34, 0)
            frame = (frame + rng.randbytes(size - len(frame)))[0 if linktype == 1 else 14 :]
            stamp = divmod(number * 4000, 1_000_000)
            file.write(struct.pack(f"{order}IIII", 1_700_000_000 + stamp[0], stamp[1], len(frame), len(frame)) + frame)
    return path


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pcap(tmp_path_factory.mktemp("copy") / "in.pcap")


def tcpdump(*words: object) -> subprocess.CompletedProcess[bytes]:
    command = ("tcpdump", "-n", "--time-stamp-precision=nano", *map(str, words))
    return subprocess.run(command, capture_output=True, check=True)


def records(path: Path) -> bytes:
    """All behind the header, in which the two programs have snap lengths of their own."""
    data = path.read_bytes()
    assert data[:4] == struct.pack("=I", 0xA1B23C4D)
    return data[HEAD:]


def frames_of(path: Path) -> list[tuple[float, bytes]]:
    with path.open("rb") as file:
        return [(round(float(stamp), 6), bytes(data)) for stamp, data in dpkt.pcap.UniversalReader(file)]


WORDS = {"all": ("-n", "-s", "0"), "filter": FILTER, "count": ("-c", "5000"), "count-of-matches": ("-c", "7", *FILTER)}


@pytest.mark.needs("tcpdump")
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_copy_is_tcpdumps(tmp_path: Path, capture: Path, words: Sequence[str]) -> None:
    """To the byte: of pcap, whose records are made where they lie, and of pcapng. -c counts what matches, as there."""
    for number, source in enumerate((capture, BUNDLED)):
        mine, theirs = tmp_path / f"mine{number}.pcap", tmp_path / f"theirs{number}.pcap"
        done = zcframe("dump", "-r", source, "-w", mine, *words)
        assert done.code == 0, done
        tcpdump("-r", source, "-w", theirs, *words)
        assert records(mine) == records(theirs)
        assert f"{len(frames_of(theirs))} packets captured" in done.stderr.splitlines()


@pytest.mark.needs("tcpdump")
def test_files_of_a_size_are_tcpdumps(tmp_path: Path, capture: Path) -> None:
    """Names and bytes, of all files and of a ring of three."""
    for number, words in enumerate((("-C", 1), ("-C", 1, "-W", 3))):
        mine, theirs = tmp_path / f"mine{number}", tmp_path / f"theirs{number}"
        for folder in (mine, theirs):
            folder.mkdir()
        assert zcframe("dump", "-r", capture, "-w", mine / "x.pcap", *words).code == 0
        tcpdump("-r", capture, "-w", theirs / "x.pcap", "-Z", "root", *words)
        names = sorted(path.name for path in theirs.iterdir())
        assert sorted(path.name for path in mine.iterdir()) == names and len(names) >= 3
        assert all(records(mine / name) == records(theirs / name) for name in names)


def test_files_of_a_time(tmp_path: Path, capture: Path) -> None:
    """A file every ten seconds of capture time, each as long as the bar says, and together all that was read."""
    done = zcframe("dump", "-r", capture, "-w", tmp_path / "%s.pcap", "-G", 10)
    assert done.code == 0, done
    found = [frames_of(path) for path in sorted(tmp_path.iterdir())]
    assert len(found) == FRAMES * 0.004 / 10
    assert all(file[-1][0] - file[0][0] < 10 for file in found)
    assert sum(found, []) == frames_of(capture)


def test_a_file_of_a_time_begins_at_the_epoch(tmp_path: Path) -> None:
    """Whose clock was never set: a time of zero is one, too."""
    source = tmp_path / "in.pcap"
    record = struct.pack("=IIII", 0, 0, 60, 60) + bytes(60)
    source.write_bytes(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + record * 3)
    for way in ((), ("--queues", 1)):
        done = zcframe("dump", "-r", source, "-w", tmp_path / "out-%Y.pcap", "-G", 10, *way, env={"TZ": "UTC"})
        assert done.code == 0 and "3 packets captured" in done.stderr, done
        assert len(frames_of(tmp_path / "out-1970.pcap")) == 3


@pytest.mark.needs("tshark", "zstd")
def test_a_copy_is_what_the_rings_bring(tmp_path: Path, capture: Path) -> None:
    """Whatever way a frame takes: other byte orders, frames without an Ethernet header, pcapng out, compressed."""
    raw, big = write_pcap(tmp_path / "raw.pcap", LINKTYPE_RAW, frames=500), write_pcap(tmp_path / "big.pcap", order=">")
    for source, names in ((raw, ("a.pcap", "b.pcapng", "c.pcap.zst")), (big, ("a.pcap",))):
        for name in names:
            one, other = tmp_path / f"copy-{name}", tmp_path / f"rings-{name}"
            words = ("dump", "-r", source, "-s", 300, *FILTER)
            both = [zcframe(*words, "-w", one), zcframe(*words, "-w", other, "--queues", 1)]
            assert [done.code for done in both] == [0, 0], both
            assert both[0].stderr == both[1].stderr
            fields = ("-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len", "-e", "ip.id")
            first, second = (
                subprocess.run(["tshark", "-n", "-r", path, *fields], capture_output=True, check=True).stdout
                for path in (one, other)
            )
            assert first == second and len(first.splitlines()) > 50
            if name.endswith("pcap"):
                assert one.read_bytes() == other.read_bytes()


@pytest.mark.needs("root")
def test_files_belong_to_another_user(tmp_path: Path, capture: Path) -> None:
    """One who may read neither the capture nor what Python imports; the second file is made by him."""
    folder, entry = Path("/tmp") / f"zc-copy-{os.getpid()}", pwd.getpwnam("nobody")
    folder.mkdir(mode=0o755)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    try:
        done = zcframe("dump", "-r", capture, "-w", folder / "x.pcap", "-C", 1, "-Z", "nobody", "udp")
        assert done.code == 0, done
        assert {path.stat().st_uid for path in folder.iterdir()} == {entry.pw_uid}
        assert len(list(folder.iterdir())) > 2
    finally:
        shutil.rmtree(folder)


def test_it_ends_when_it_is_told(tmp_path: Path, capture: Path) -> None:
    """A pipe that brings no more: SIGUSR1 asks for the counts, SIGINT for the end; the file is whole."""
    reader, writer = os.pipe()
    out = tmp_path / "out.pcap"
    with Background(tmp_path, "dump", "-r", "-", "-w", out, stdin=reader) as run, os.fdopen(writer, "wb") as pipe:
        os.close(reader)
        # A header, a thousand records, and half of one.
        data = capture.read_bytes()
        at = HEAD
        for _ in range(1000):
            at += 16 + struct.unpack_from("=I", data, at + 8)[0]
        pipe.write(data[: at + 30])
        pipe.flush()
        until(lambda: out.exists() and out.stat().st_size == at, what="a thousand records")
        run.signal(signal.SIGUSR1).wait_to_hear("1000 packets captured")
        done = run.stop(signal.SIGINT)
    assert done.code == 0, done
    assert done.stderr.splitlines().count("1000 packets captured") == 2
    assert [frame for _, frame in frames_of(out)] == [frame for _, frame in frames_of(capture)][:1000]


def waits(pid: int) -> bool:
    """Whether a process has a handler for SIGUSR1, and sleeps."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigCgt:")[2].split()[0], 16)
    return "State:\tS" in status and bool(mask >> signal.SIGUSR1 - 1 & 1)


def test_it_can_be_ended_before_the_first_byte(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with Background(tmp_path, "dump", "-r", "-", "-w", tmp_path / "out.pcap", stdin=reader) as run:
        os.close(reader)
        run.wait_until(lambda: waits(run.pid), "it reads the pipe")
        done = run.stop(signal.SIGINT)
    os.close(writer)
    assert (done.code, done.stderr) == (0, "zcframe: ended before the first packet\n")
    assert not (tmp_path / "out.pcap").exists()


def told(done: Finished, *words: str) -> None:
    (line,) = done.complaints
    assert done.code == 1 and all(word in line for word in words), done


def test_damage_ends_it_behind_the_last_whole_record(tmp_path: Path, capture: Path) -> None:
    cut, out = tmp_path / "cut.pcap", tmp_path / "out.pcap"
    cut.write_bytes(capture.read_bytes()[:-10])
    done = zcframe("dump", "-r", cut, "-w", out)
    told(done, str(cut), "is cut short", f"the {FRAMES - 1} whole records")
    assert frames_of(out) == frames_of(capture)[:-1]
    assert f"{FRAMES - 1} packets captured" in done.stderr.splitlines()


@pytest.mark.needs("namespaces")
def test_a_full_disk_leaves_whole_records(tmp_path: Path, capture: Path) -> None:
    small, cut = tmp_path / "small", tmp_path / "cut.pcap"
    small.mkdir()
    script = f'mount -t tmpfs -o size=2m none {small} && "$@"; code=$?; cp {small}/x.pcap {cut}; exit $code'
    done = zcframe("dump", "-r", capture, "-w", small / "x.pcap", launcher=("unshare", "-m", "sh", "-c", script, "sh"))
    told(done, "x.pcap", "ENOSPC")
    found = frames_of(cut)
    assert found == frames_of(capture)[: len(found)] and 0 < len(found) < FRAMES
    assert f"{len(found)} packets captured" in done.stderr.splitlines()


def test_a_reader_that_leaves_is_told(tmp_path: Path, capture: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe, Background(tmp_path, "dump", "-r", capture, stdout=pipe) as run:
        told(run.finish(), "nobody reads it any more")


def test_what_cannot_be_copied_is_refused(tmp_path: Path, capture: Path) -> None:
    """In one line, and nothing is left behind."""
    for words, text in (
        (("-r", tmp_path / "none", "-w", tmp_path / "a"), "No such file"),
        (("-r", capture, "-w", tmp_path / "none/a"), "none/a"),
        (("-r", capture, "-w", tmp_path / "a", "tcp", "prot", "80"), "--filter"),
        (("-r", capture, "-w", tmp_path / "a", "-W", 3), "give size="),
        (("-r", capture, "-w", capture), "is what is read"),
    ):
        done = zcframe("dump", *words)
        assert done.code in (1, 2) and text in done.complaints[0], done
    assert list(tmp_path.iterdir()) == [] and len(frames_of(capture)) == FRAMES
