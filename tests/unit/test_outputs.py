"""Outputs by their parts: the words of --out, names of files, the merge of several rings, the account of a stream."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zcframe.framework import abi
from zcframe.framework.chain.handover import END, FRAMES, KEEP, LINE, MARK, Shedding
from zcframe.framework.chain.workspace import DONE, GENERATION
from zcframe.framework.config import load
from zcframe.framework.errors import UsageError
from zcframe.framework.outputs.kinds.file import FileSink, Names
from zcframe.framework.outputs.make import Asked, choose_outputs, make_outputs
from zcframe.framework.outputs.output import Input
from zcframe.framework.outputs.sink import Pieces, Place
from zcframe.framework.outputs.spec import FILES, installed_outputs, parse_output
from zcframe.framework.outputs.writer.account import COUNT, WORDS, Account, account_size
from zcframe.framework.outputs.writer.merge import Merge, Row
from zcframe.framework.ring import Mapping, make_memory
from zcframe.framework.supervisor import plan


def test_the_words_of_an_output() -> None:
    _, spec = parse_output("pcap:a,b.pcap,size=2K,seconds=60,filter=host 10.0.0.1 and (tcp[0:2] > 5,snaplen=1)")
    assert (spec.kind, spec.target) == ("pcap", "a,b.pcap")
    assert spec.options == {"size": 2000, "seconds": 60, "filter": "host 10.0.0.1 and (tcp[0:2] > 5,snaplen=1)"}


@pytest.mark.parametrize(("there", "cut"), [(b"", []), (b"head", []), (b"head and more", [4])])
def test_only_what_is_too_long_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bytes, cut: list[int]
) -> None:
    """A file system may have a file written to the disk at once that was cut to nothing."""
    path, cuts = tmp_path / "a.pcap", []
    path.write_bytes(there)
    monkeypatch.setattr(os, "ftruncate", lambda fd, length: cuts.append(length))
    sink = FileSink(Names(str(path)), b"head")
    sink.begin(Place(length=len(there[:4])), interrupted=False)
    sink.close()
    assert cuts == cut


def test_files_are_found_where_the_package_says() -> None:
    installed = installed_outputs()
    assert {kind: installed[kind].load() for kind in FILES} == {kind: parse_output(f"{kind}:x")[0] for kind in FILES}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.pcap", "KIND:TARGET is needed; did you mean pcap?"),
        ("pcap", "KIND:TARGET is needed; did you mean pcap?"),
        ("7:x", "there are: extcap, fifo, iface, pcap, pcapng, ring, tap"),
        ("pcpa:a.pcap", "did you mean pcap?"),
        ("pcap:", "a name is needed behind pcap:"),
        ("pcap:a,snaplen=0", "a whole number from 1 on is needed"),
        ("pcap:a,size=big", "a number of millions of bytes is needed"),
        ("pcap:a,user=nobody-of-this-name", "there is no such user"),
        ("pcap:a,snaplne=5", "did you mean snaplen?"),
        ("fifo:a,size=1", "fifo has no option size"),
        ("tap:a,queues=200", "128 are possible"),
        ("tap:a{},queues=2", "leave {} out of its name"),
        ("tap:a,queues=2,shares=3:1:1", "3 shares for what takes 2"),
        ("pcap:a{}", "--shares N"),
        ("pcap:a,shares=2", "put {} into the name"),
        ("pcap:a{},shares=2,share=ip", "ip-pair"),
        ("pcap:a{},shares=3,share=queue", "--share queue can fill 2 only"),
        ("fifo:a{},shares=2,dead=no", "dead=no: drain or drop is needed"),
        ("fifo:a{},shares=2,share=queue,dead=drain", "cannot move what --share queue keeps in one queue"),
        ("fifo:a,dead=drain", "put {} into the name"),
        ("pcap:a,shed=old", "shed=old: off or new or elephants is needed"),
        ("pcap:a,shunt=0", "shunt=0: a number of bytes from 1 on is needed"),
        ("pcap:a,shed=new,keep=-1", "keep=-1: a number of packets is needed"),
        ("pcap:a,keep=5", "keep=5: nothing is shed without shed=new"),
        ("pcap:a,filter=tcp prt 80", "filter="),
    ],
)
def test_words_that_are_wrong(text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        choose_outputs([text], Asked(None, None, 2))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("shares", "rule", "on_dead", "words"),
    [
        ("2", None, None, "--shares: no --out"),
        (None, "vlan", None, "--share: no"),
        (None, None, "drain", "--on-dead: no --out"),
    ],
)
def test_shares_of_nothing(shares: str | None, rule: str | None, on_dead: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose_outputs(["pcap:a"], Asked(shares, rule, 2, on_dead))


def test_an_output_sheds_as_it_says_itself() -> None:
    """Else as all do; without a word of it, it knows no flows."""
    texts = ["pcap:a", "pcap:b,shed=new,keep=3", "pcap:c,shunt=2k"]
    assert [one.shedding for one in choose_outputs(texts, Asked(None, None, 2))] == [
        None,
        Shedding("new", 3),
        Shedding("off", KEEP, 2000),
    ]
    general = Shedding("elephants", 5, 7000)
    assert [one.shedding for one in choose_outputs(texts, Asked(None, None, 2, shedding=general))] == [
        general,
        Shedding("new", 3, 7000),
        Shedding("elephants", 5, 2000),
    ]


def test_two_outputs_on_one_name() -> None:
    chosen = choose_outputs(["pcap:a{}.pcap", "pcapng:a1.pcap"], Asked("2", None, 2))
    with pytest.raises(UsageError, match="a1.pcap is written by --out pcap:a{}.pcap already"):
        make_outputs(chosen, [Input("soft0", 0)])


def test_names_of_files() -> None:
    """As tcpdump makes them."""
    assert [Names("a.pcap", size=1).of(Place(n)) for n in range(3)] == ["a.pcap", "a.pcap1", "a.pcap2"]
    assert [Names("a.pcap", size=1, files=11).of(Place(n)) for n in (0, 10, 11)] == ["a.pcap00", "a.pcap10", "a.pcap00"]
    assert Names("a.pcap.zst", size=1).of(Place(2)) == "a.pcap2.zst"
    assert Names("a%Y.pcap", seconds=60).of(Place(5, 1_700_000_000 * 10**9)) == "a2023.pcap"
    assert Names("a.pcap", seconds=60).of(Place(5, 1)) == "a.pcap5"


def test_a_file_is_cut_to_what_is_on_record(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b"head, whole, torn")
    sink = FileSink(Names(str(path)), b"head")
    sink.begin(Place(0, 0, 11), interrupted=True)
    assert sink.write(Pieces.of(b", whole again"))
    sink.close()
    assert path.read_bytes() == b"head, whole, whole again"


def test_a_file_that_somebody_cut_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b"head")
    with pytest.raises(OSError, match="is shorter than what was written to it"):
        FileSink(Names(str(path)), b"head").begin(Place(0, 0, 11), interrupted=True)


# --- the merge


class Ring:
    """What a worker leaves: records, a book, its progress, the header of the ring that it reads."""

    def __init__(self) -> None:
        self.memory = np.zeros(1 << 16, np.uint8)
        self.book, self.progress = np.zeros(64, np.int64), np.zeros(4096, np.int64)
        self.header = np.zeros(1, abi.RING_HEADER)
        self.turn = np.zeros(1, np.int64)
        self.end = self.frames = 0

    def hand_on(self, *stamps: int) -> None:
        """Commit records of these times, and as mark the last of them."""
        for stamp in stamps:
            record = struct.pack("=IIII", stamp // 10**9, stamp % 10**9, 8, 8) + struct.pack("=q", stamp)
            self.memory[self.end : self.end + len(record)] = np.frombuffer(record, np.uint8)
            self.end, self.frames = self.end + len(record), self.frames + 1
        self.leave_mark(stamps[-1])

    def leave_mark(self, stamp: int) -> None:
        generation = int(self.progress[GENERATION // 8]) + 1
        line = (generation & 1) * LINE // 8
        for at, value in ((END, self.end), (FRAMES, self.frames), (MARK, stamp)):
            self.book[line + at // 8] = value
        self.progress[GENERATION // 8] = generation

    def be_busy(self) -> None:
        self.header["write"] = int(self.progress[DONE // 8]) + 1

    def row(self, turn: int) -> Row:
        return Row(
            data=self.memory.ctypes.data,
            mask=(1 << 16) - 1,
            book=self.book.ctypes.data,
            marks=self.book.ctypes.data,
            generation=self.progress.ctypes.data + GENERATION,
            progress=self.progress.ctypes.data,
            write=self.header.ctypes.data + abi.HEADER_WRITE,
            position=0,
            taken=0,
            end=0,
            frames=0,
            mark=0,
            turn=turn,
            seen=0,
            idle=0,
            ripe=0,
            old=0,
        )


def merged(rings: list[Ring], *, turn: int | None = 0, live: bool = False, ended: bool = False) -> list[int]:
    """Times of the records that a merge takes; turn: the NIC's, None where it has none."""
    word = np.array([turn or 0], np.int64)
    merge = Merge([ring.row(word.ctypes.data if turn is not None else 0) for ring in rings], ng=False, live=live)
    merge.look(ended=ended)
    return stamps(merge)


def stamps(merge: Merge) -> list[int]:
    found: list[int] = []
    while (taken := merge.take(60)).frames:
        data = Pieces(merge.pieces, taken.pieces, taken.octets).joined()
        found += [struct.unpack_from("=q", data, at + 16)[0] for at in range(0, len(data), 24)]
    return found


def test_records_of_several_workers_come_in_order_of_time() -> None:
    one, other = Ring(), Ring()
    one.hand_on(1, 4, 5, 9)
    other.hand_on(2, 3, 6, 7)
    assert merged([one, other], turn=1) == [1, 2, 3, 4, 5, 6, 7]
    assert merged([one, other], ended=True) == [1, 2, 3, 4, 5, 6, 7, 9]


def test_records_of_one_worker_keep_their_order() -> None:
    one, other = Ring(), Ring()
    one.hand_on(5, 1, 6)
    other.hand_on(4, 9)
    assert merged([one, other], ended=True) == [4, 5, 1, 6, 9]
    assert merged([one]) == [5, 1, 6]


def test_a_busy_worker_is_waited_for() -> None:
    one, other = Ring(), Ring()
    one.hand_on(1, 2, 3)
    other.leave_mark(2)
    other.be_busy()
    assert merged([one, other]) == [1, 2]


@pytest.mark.parametrize(("turn", "found"), [(0, [1, 2, 3]), (1, [1])])
def test_an_idle_worker_is_not_waited_for_once_all_is_published(turn: int, found: list[int]) -> None:
    one, other = Ring(), Ring()
    one.hand_on(1, 2, 3)
    other.leave_mark(1)
    assert merged([one, other], turn=turn) == found


@pytest.mark.parametrize(
    ("busy", "live", "seconds", "found"), [(False, False, 0.05, 2), (True, True, 0.25, 2), (True, False, 0.25, 0)]
)
def test_without_a_turn_waiting_ends_by_time(
    busy: bool, live: bool, seconds: float, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Ring(), Ring()
    one.hand_on(1, 2)
    if busy:
        other.be_busy()
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    merge = Merge([ring.row(0) for ring in (one, other)], ng=False, live=live)
    merge.look(ended=False)
    assert stamps(merge) == []
    now[0] += seconds
    merge.look(ended=False)
    merge.look(ended=False)
    assert len(stamps(merge)) == found


def test_a_ring_that_is_half_full_waits_for_no_idle_worker() -> None:
    """Live, that is: frames would be lost before order could be kept."""
    for live in (True, False):
        one, other = Ring(), Ring()
        one.hand_on(*range(1, 1400))
        merge = Merge([ring.row(0) for ring in (one, other)], ng=False, live=live)
        merge.look(ended=False)
        assert len(stamps(merge)) == (1399 if live else 0)
        other.be_busy()
        merge = Merge([ring.row(0) for ring in (one, other)], ng=False, live=live)
        merge.look(ended=False)
        assert stamps(merge) == []


def test_bytes_that_are_no_record_are_not_written() -> None:
    one, other = Ring(), Ring()
    one.hand_on(1)
    one.memory[8:12] = 255
    merge = Merge([ring.row(0) for ring in (one, other)], ng=False, live=False)
    merge.look(ended=True)
    assert (merge.take(1 << 20).broken, merge.take(1 << 20).frames) == (1, 0)


# --- the account


def test_an_account_holds_what_was_committed() -> None:
    fd = make_memory("zc-test-account", account_size(2))
    mapping: Any = Mapping(fd, account_size(2), writable=True)
    account = Account(mapping, 0, 2)
    added = np.zeros(account.words, np.int64)
    added[COUNT.length], added[COUNT.written] = 100, 2
    rows = np.zeros((1, len(Row._fields)), np.int64)
    rows[0, Row._fields.index("position")] = 100
    account.enter(rows, np.array([1]), added)
    assert account.interrupted and account.read()[COUNT.length] == 0
    account.commit()
    words = account.read()
    assert not account.interrupted
    assert [int(words[at]) for at in (COUNT.length, COUNT.written, WORDS, WORDS + 1)] == [100, 2, 0, 100]
    assert ctypes.sizeof(ctypes.c_int64) * len(words) <= account_size(2)


# --- what the NIC hashes where frames are shared out


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ({"out": ["pcap:a{}"], "shares": "2"}, "ip-pair"),
        ({"out": ["pcap:b", "pcap:a{},shares=2"]}, "ip-pair"),
        ({"out": ["pcap:a"]}, "5-tuple"),
        ({"out": ["pcap:a{}"], "shares": "2", "share": "5-tuple"}, "5-tuple"),
        ({"out": ["pcap:a{}"], "shares": "2", "rss_fields": "5-tuple"}, "5-tuple"),
        ({"out": ["pcap:a{}"], "shares": "2", "iface": ["lo"], "backend": "packet"}, "5-tuple"),
        ({}, "5-tuple"),
    ],
)
def test_shares_by_pair_have_the_nic_hash_pairs(words: dict[str, Any], fields: str) -> None:
    """Where the run sets the NIC up anyway, and nobody said otherwise."""
    assert plan(load(words)).rss.fields == fields
