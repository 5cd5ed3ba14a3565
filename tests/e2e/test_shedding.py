"""An output that falls behind sheds whole flows, to the last frame and whoever is killed; one-sided flows as tshark's."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.test_outputs import check_ledger, records
from tests.kit.command import Background, zcframe
from tests.kit.places import BUNDLED

FRAMES, ABREAST, LIFE, KEEP = 40_000, 40, 80, 4


@pytest.fixture(scope="module")
def coming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows that begin one after the other, 40 at a time, each frame with its flow's number and its own in the flow."""
    path, rng = tmp_path_factory.mktemp("trace") / "coming.pcap", random.Random(15)
    alive, born = [[flow, 0] for flow in range(ABREAST)], ABREAST
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for number in range(FRAMES):
            place, size = rng.randrange(ABREAST), rng.choice((60, 60, 90, 200, 600, 1514))
            flow, index = alive[place]
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, 0, 0, 64, 17, 0, 0x0A000000 | flow, 0x0B000001)
            head = b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHHHII", 1000, 53, size - 34, 0, flow, index)
            file.write(struct.pack("=IIII", 1_700_000_000, number * 1000, size, size) + head + bytes(size - len(head)))
            alive[place][1] += 1
            # Those of the first places are the largest: they live on.
            if index == LIFE and place >= ABREAST // 4:
                alive[place], born = [born, 0], born + 1
    return path


def numbers(stream: bytes) -> Iterator[tuple[int, int]]:
    """(flow, number in the flow) of each frame."""
    return ((flow, index) for flow, index in (struct.unpack_from(">II", frame, 42) for frame in records(stream)))


class StalledReader:
    """Opens a FIFO, and reads nothing of it before `go`."""

    def __init__(self, path: Path) -> None:
        self.data, self._going = bytearray(), threading.Event()
        self._thread = threading.Thread(target=self._read, args=(path,))
        self._thread.start()

    def _read(self, path: Path) -> None:
        with path.open("rb", buffering=0) as file:
            self._going.wait(120)
            while data := file.read(1 << 16):
                self.data += data

    def go(self) -> bytes:
        self._going.set()
        return bytes(self.data)

    def join(self) -> bytes:
        self.go()
        self._thread.join(120)
        assert not self._thread.is_alive()
        return bytes(self.data)


def kill_workers(run: Background, rng: random.Random) -> None:
    with contextlib.suppress(psutil.Error, IndexError):
        rng.choice(run.workers()).kill()


def shed_run(folder: Path, trace: Path, mode: str, *, kills: bool) -> tuple[bytes, dict[str, Any]]:
    """What the reader got of a run in which it stood still for a half, and the document."""
    fifo, rng = folder / "x", random.Random(1)
    out = f"fifo:{fifo},buffer=1" + (f",shed={mode},keep={KEEP}" if mode else "")
    # Rings that hold all frames: the NIC loses none.
    words = ("--queues", 2, "--ring-slots", 65536, "--pps", "20k", "--stats-interval", 0.1, "--drain", 60)
    with Background(folder, "run", "--json", "--read", trace, "--plugin", "sizes", *words, "--out", out) as run:
        run.wait_until(fifo.exists, "the FIFO")
        reader = StalledReader(fifo)
        run.flowing()
        for arrived in range(2000, FRAMES, 2000):
            run.wait_for(arrived)
            if kills:
                kill_workers(run, rng)
            if arrived == FRAMES // 2:
                reader.go()
        done = run.finish()
        data = reader.join()
    assert done.code == 0, done
    document: dict[str, Any] = done.document
    # The first of them had most of the frames still before it.
    assert not kills or document["totals"]["restarts"] > 0
    return data, document


def left_out(data: bytes) -> tuple[int, int]:
    """(frames that are missing before the last one of their flow, frames that are missing behind it); none is twice."""
    found: dict[int, list[int]] = defaultdict(list)
    for flow, index in numbers(data):
        assert not found[flow] or index > found[flow][-1], "twice, or out of order"
        found[flow].append(index)
    return sum(indices[-1] + 1 - len(indices) for indices in found.values()), len(found)


@pytest.mark.parametrize("kills", [False, True], ids=["", "killed"])
@pytest.mark.parametrize("mode", ["new", "elephants"])
def test_flows_are_shed_whole(tmp_path: Path, coming: Path, mode: str, kills: bool) -> None:
    data, document = shed_run(tmp_path, coming, mode, kills=kills)
    (row,) = check_ledger(document)
    written = len(list(numbers(data)))
    shed, full = row["shed"][mode], row["dropped"].get("ring_full", 0)
    assert row["offered"] == FRAMES and row["in_flight"] == 0
    assert row["dropped"].keys() <= {"ring_full"} and row["shed"].keys() == {mode}
    assert written == row["written"] == FRAMES - shed - full
    assert shed > 1000
    # What is missing in the middle of a flow found no room: no frame of a flow that was shed came behind it.
    between, _ = left_out(data)
    assert between <= full
    listed = document["outputs"][0]["largest_shed"]
    assert len(listed) == 10 and all(flow["reason"] == mode for flow in listed)
    assert [flow["bytes"] for flow in listed] == sorted((flow["bytes"] for flow in listed), reverse=True)
    _check_listed(listed, coming, data, mode)


def _check_listed(listed: list[dict[str, Any]], trace: Path, data: bytes, mode: str) -> None:
    """The flows are those of the trace, with their frames; the output has their first ones at most."""
    whole: dict[int, list[int]] = defaultdict(list)
    for frame in records(trace.read_bytes()):
        whole[struct.unpack_from(">I", frame, 42)[0]].append(len(frame))
    got: dict[int, int] = defaultdict(int)
    for flow, _ in numbers(data):
        got[flow] += 1
    for flow in listed:
        number = int(flow["a"].rpartition("10.")[2].replace(".", " ").split()[-1])
        number += 256 * int(flow["a"].split(".")[2])
        assert (flow["b"], flow["a_port"], flow["b_port"], flow["proto"]) == ("11.0.0.1", 1000, 53, 17)
        assert (flow["packets"], flow["bytes"]) == (len(whole[number]), sum(whole[number]))
        assert got[number] < len(whole[number])
        assert mode != "new" or got[number] <= KEEP


def test_without_shedding_single_frames_are_lost(tmp_path: Path, coming: Path) -> None:
    """The negative control: the same reader, and nearly every flow has gaps."""
    data, document = shed_run(tmp_path, coming, "", kills=False)
    (row,) = check_ledger(document)
    assert row["shed"] == {} and row["dropped"]["ring_full"] > 1000
    between, flows = left_out(data)
    assert between > 1000 and flows > ABREAST


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--shed", "new"), "--shed: no output has flows: name an --out"),
        (("--shunt", "1G"), "--shunt: no output has flows"),
        (("--out", "pcap:x", "--shed", "oldest"), "--shed oldest: off or new or elephants is needed"),
        (("--out", "pcap:x", "--shunt", "1T"), "--shunt 1T: a number of bytes from 1 on is needed"),
        (("--out", "pcap:x", "--shed-keep", "3"), "--shed-keep: nothing is shed without"),
    ],
)
def test_words_that_are_wrong(words: tuple[str, ...], told: str) -> None:
    done = zcframe("run", "--read", BUNDLED, *words, "--check")
    assert (done.code, done.stdout) == (2, ""), done
    (line,) = done.complaints
    assert told in line


# --- one-sided flows


def by_tshark(path: Path) -> tuple[int, int]:
    """(flows, flows of which one direction only is there) of a capture; fragments without ports."""
    names = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto", "ipv6.nxt", "tcp.srcport", "tcp.dstport")
    names += ("udp.srcport", "udp.dstport", "ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.nxt", "ipv6.hopopts.nxt")
    fields = [word for name in names for word in ("-e", name)]
    settings = ("-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-E", "occurrence=f")
    command = ["tshark", "-n", "-r", str(path), *settings, "-T", "fields", *fields]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    senders: dict[Any, set[Any]] = defaultdict(set)
    for line in lines:
        a4, b4, a6, b6, p4, p6, tcp_a, tcp_b, udp_a, udp_b, more, offset, fragment, hop = line.split("\t")
        if a4 or a6:
            proto = p4 or fragment or hop or p6
            # Those of a packet that an ICMP error quotes are not its own.
            whole = proto in ("6", "17") and more not in ("1", "True") and offset in ("", "0") and not fragment
            a, b = (a4 or a6, (tcp_a or udp_a) if whole else ""), (b4 or b6, (tcp_b or udp_b) if whole else "")
            senders[frozenset((a, b)), proto].add(a)
    return len(senders), sum(len(found) == 1 for found in senders.values())


@pytest.mark.needs("tshark")
def test_one_sided_flows_are_those_of_tshark(tmp_path: Path) -> None:
    words = ("run", "--json", "--read", BUNDLED, "--queues", 4, "--plugin", "sizes", "--count-flows", "--shares", 3)
    done = zcframe(*words, "--out", f"pcap:{tmp_path}/x{{}}")
    assert done.code == 0, done
    for share, row in enumerate(check_ledger(done.document)):
        assert (row["flows"], row["one_sided"]) == by_tshark(tmp_path / f"x{share}")
        assert row["one_sided_ratio"] == row["one_sided"] / row["flows"]


@pytest.mark.needs("tshark")
def test_one_sided_flows_show_a_share_that_is_not_symmetric(tmp_path: Path) -> None:
    """The negative control: a directional hash of the card, and shares by its queues."""
    ratios = {}
    for key in ("symmetric", "microsoft"):
        words = ("run", "--json", "--read", BUNDLED, "--queues", 4, "--plugin", "sizes", "--count-flows")
        done = zcframe(*words, "--rss-key", key, "--share", "queue", "--out", f"pcap:{tmp_path}/{key}{{}}")
        assert done.code == 0, done
        rows = check_ledger(done.document)
        found = [by_tshark(tmp_path / f"{key}{share}") for share in range(4)]
        assert [(row["flows"], row["one_sided"]) for row in rows] == found
        ratios[key] = sum(row["one_sided"] for row in rows) / sum(row["flows"] for row in rows)
    assert ratios["microsoft"] > 2 * ratios["symmetric"] > 0
