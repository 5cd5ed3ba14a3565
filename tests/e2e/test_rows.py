"""Records leave by --rows: what tshark finds of the same packets, each once, whatever is killed on the way."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import random
import re
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit.command import Background, Finished, together, zcframe
from tests.kit.places import ANALYZERS, BUNDLED

SEGMENTS = f"{ANALYZERS}/segments.py:Tcp"
NUMBERED = f"{ANALYZERS}/segments.py:Numbered"
FRAMES = 100_000
KILLS, ROUNDS = 20, 5
FIELDS = ("frame.time_epoch", "ip.src", "ipv6.src", "tcp.srcport", "tcp.dstport", "tcp.payload")
PLAINLY = ("tcp.desegment_tcp_streams", "ip.defragment", "ipv6.defragment")


def tshark(path: Path) -> Counter[tuple[str, ...]]:
    """Time in ns, source, ports and the first 200 bytes, as hex digits, of each TCP segment that has data."""
    words = [word for field in FIELDS for word in ("-e", field)]
    words += [word for name in PLAINLY for word in ("-o", f"{name}:FALSE")]
    shown = ("-Y", "tcp.len > 0 && tcp.payload", "-T", "fields", "-E", "separator=;", "-E", "occurrence=f")
    done = subprocess.run(["tshark", "-n", "-r", path, *shown, *words], capture_output=True, text=True, check=True)
    found = Counter[tuple[str, ...]]()
    for line in done.stdout.splitlines():
        at, v4, v6, *ports, octets = line.split(";")
        seconds, _, fraction = at.partition(".")
        found[str(int(seconds + fraction.ljust(9, "0"))), v4 or v6, *ports, octets.replace(":", "")[:400]] += 1
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def ledgers(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of all kinds of record; the sum of each holds."""
    rows = [row for output in document["rows"] for row in output["records"]]
    for row in rows:
        assert row["made"] == row["written"] + row["in_flight"] + sum(row["dropped"].values()), row
    return rows


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of 200 flows, each with its number."""
    path, rng = tmp_path_factory.mktemp("trace") / "numbered.pcap", random.Random(15)
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for number in range(FRAMES):
            flow = rng.randrange(200)
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, 0x0A000000 | flow, 0x0B000001)
            frame = bytes(12) + b"\x08\0" + ip + struct.pack(">HHHHII", 1000 + flow, 53, 26, 0, flow, number)
            file.write(struct.pack("=IIII", 1_700_000_000, number * 1000, 60, 60) + frame.ljust(60, b"\0"))
    return path


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("queues", [1, 2, 8])
def test_records_are_what_tshark_finds(tmp_path: Path, queues: int) -> None:
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    words = ("run", "--json", "--read", BUNDLED, "--queues", queues, "--plugin", SEGMENTS, "--rows")
    done = zcframe(*words, f"json:{out}", f"csv:{table}")
    assert done.code == 0, done
    _agree(out, tshark(BUNDLED), ledgers(done.document)[0])
    with table.open(newline="") as file:
        listed = list(csv.DictReader(file))
    rows = rows_of(out)
    assert [{name: str(value) for name, value in row.items() if name != "record"} for row in rows] == [
        row | {"words": rows[i]["words"]} for i, row in enumerate(listed)
    ]


def _agree(path: Path, expected: Counter[tuple[str, ...]], ledger: dict[str, Any]) -> None:
    rows = rows_of(path)
    names = ("ts", "src", "sport", "dport", "octets")
    assert Counter(tuple(str(row[name]) for name in names) for row in rows) == expected
    assert (ledger["name"], ledger["made"], ledger["written"], ledger["dropped"]) == ("tcp.data", *[len(rows)] * 2, {})
    for row in rows:
        octets = bytes.fromhex(row["octets"])
        assert row["words"] == octets.decode(errors="backslashreplace").rstrip("\0") and row["record"] == "tcp.data"
    assert all(a["ts"] <= b["ts"] for a, b in itertools.pairwise(rows))


@pytest.mark.long
@pytest.mark.needs("tshark", "captures")
def test_records_of_real_captures_are_what_tshark_finds(tmp_path: Path, captures: Path) -> None:
    for name in ("bt-http.pcapng", "amqp.pcap"):
        out = tmp_path / f"{name}.json"
        words = ("run", "--json", "--read", captures / name, "--queues", 2, "--plugin", SEGMENTS)
        done = zcframe(*words, "--rows", f"json:{out}")
        assert done.code == 0, done
        _agree(out, tshark(captures / name), ledgers(done.document)[0])


def _kill_one(run: Background, rng: random.Random, killed: set[int]) -> None:
    children = [child for child in psutil.Process(run.pid).children() if child.name().startswith(("zc-rx-", "zc-out-"))]
    if children:
        victim = rng.choice(children)
        victim.kill()
        killed.add(victim.pid)


def test_workers_and_writers_are_killed(tmp_path: Path, numbered: Path) -> None:
    """At full speed, all the way: each record once, whole, in the order of the source."""
    out, table, rng, killed = tmp_path / "out.json", tmp_path / "out.csv", random.Random(1), set[int]()
    words = ("run", "--json", "--read", numbered, "--loop", ROUNDS, "--queues", 3, "--plugin", NUMBERED, "--rows")
    with Background(tmp_path, *words, f"json:{out}", f"csv:{table},only=numbered.even") as run:
        while run.process.poll() is None and len(killed) < KILLS:
            time.sleep(rng.expovariate(20))
            with contextlib.suppress(psutil.Error):
                _kill_one(run, rng, killed)
        done = run.finish()
    assert done.code == 0, done
    written = [(row["name"], row["written"]) for row in ledgers(done.document)]
    assert written == [("numbered.all", ROUNDS * FRAMES), ("numbered.even", ROUNDS * FRAMES // 2), *written[1:2]]
    expected = (number % FRAMES for number in range(ROUNDS * FRAMES))
    with out.open() as lines:
        for number in expected:
            assert next(lines) == f'{{"record": "numbered.all", "number": {number}}}\n'
            if number % 2 == 0:
                assert next(lines) == f'{{"record": "numbered.even", "number": {number}, "name": "even"}}\n'
        assert next(lines, None) is None
    with table.open(newline="") as file:
        head, *listed = csv.reader(file)
    assert head == ["number", "name"]
    assert listed == [[str(number % FRAMES), "even"] for number in range(0, ROUNDS * FRAMES, 2)]


def _row_of_summary(stderr: str, name: str) -> dict[str, int]:
    """The summary's row of a kind of record."""
    lines = stderr.splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("records "))
    (row,) = (line for line in lines[at + 1 :] if line.startswith(name))
    names, cells = lines[at].split(), row.split()
    return {label: int(cell.replace(",", "")) for label, cell in zip(names[2:], cells[2:], strict=True)}


def _packets(stderr: str) -> int:
    """That were taken so far, or in all."""
    return max([int(found.replace(",", "")) for found in re.findall(r"([\d,]+) packets", stderr)], default=0)


def test_a_reader_who_does_not_read_holds_no_packet_back(tmp_path: Path, numbered: Path) -> None:
    """At the pace of a live capture: what finds no room is counted, and the lines that arrive are whole."""
    ends = os.pipe()
    pace = ("--loop", 0, "--pps", "100k", "--queues", 1, "--stats-interval", 0.1)
    words = ("run", "--read", numbered, *pace, "--plugin", NUMBERED, "--rows", "json:-,buffer=1K")
    with Background(tmp_path, *words, stdout=ends[1]) as run:
        os.close(ends[1])
        run.wait_until(lambda: _packets(run.stderr) > FRAMES // 2, "packets")
        done = run.stop()
    with os.fdopen(ends[0]) as pipe:
        lines = pipe.read().splitlines()
    assert done.code == 0, done
    row = _row_of_summary(done.stderr, "numbered.all")
    assert row["ring_full"] > 0 and row["made"] == _packets(done.stderr)
    assert row["made"] == sum(row.values()) - row["made"]
    whole = [json.loads(line) for line in lines[:-1]]
    assert whole and all(row["record"].startswith("numbered.") for row in whole)


def test_a_full_disk_ends_one_output_and_no_other(tmp_path: Path, numbered: Path) -> None:
    other = tmp_path / "other.json"
    words = ("run", "--json", "--read", numbered, "--queues", 2, "--plugin", NUMBERED, "--rows")
    done = zcframe(*words, "json:/dev/full", f"json:{other},only=numbered.all")
    assert done.code == 1
    (line,) = done.complaints
    assert "--rows json:/dev/full: ENOSPC" in line
    full, even, whole = ledgers(done.document)
    assert full["dropped"] == {"failed": FRAMES} and even["dropped"] == {"failed": FRAMES // 2}
    assert whole["written"] == len(rows_of(other)) == FRAMES


def test_records_that_nobody_asked_for_are_counted(numbered: Path) -> None:
    done = zcframe("run", "--json", "--read", numbered, "--queues", 2, "--plugin", NUMBERED)
    assert done.code == 0, done
    assert [(row["made"], row["dropped"]) for row in ledgers(done.document)] == [
        (FRAMES, {"unasked": FRAMES}),
        (FRAMES // 2, {"unasked": FRAMES // 2}),
    ]


def test_files_of_a_size_and_compressed_ones_hold_all(tmp_path: Path, numbered: Path) -> None:
    words = ("run", "--json", "--read", numbered, "--queues", 2, "--plugin", NUMBERED, "--rows")
    specs = (f"csv:{tmp_path}/part.csv,only=numbered.all,size=200K", f"json:{tmp_path}/all.json.gz,only=numbered.all")
    done = zcframe(*words, *specs)
    assert done.code == 0, done
    numbers: list[str] = []
    for part in sorted(tmp_path.glob("part.csv*"), key=lambda path: int(re.sub(r"\D", "", path.name) or 0)):
        head, *rest = part.read_text().splitlines()
        assert head == "number" and rest
        numbers += rest
    assert numbers == [str(number) for number in range(FRAMES)]
    unpacked = subprocess.run(["gzip", "-dc", tmp_path / "all.json.gz"], capture_output=True, check=True).stdout
    assert [json.loads(line)["number"] for line in unpacked.splitlines()] == list(range(FRAMES))


def refused(done: Finished, code: int, *words: str) -> None:
    assert (done.code, done.stdout) == (code, ""), done
    (line,) = done.complaints
    assert all(word in line for word in words), line


def _words(plugin: str, *rows: object, more: Sequence[object] = ()) -> tuple[object, ...]:
    return ("run", *more, "--read", BUNDLED, "--queues", 1, "--plugin", plugin, "--rows", *rows)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Before the first frame, in one line; and nothing is left behind."""
    os.mkfifo(tmp_path / "pipe")
    one, again = f"json:{tmp_path}/a", f"json:{tmp_path}/../{tmp_path.name}/a"
    cases: list[tuple[tuple[object, ...], int, tuple[str, ...]]] = [
        (_words("sizes", one), 2, ("no plugin of this run has Records",)),
        (_words(NUMBERED, f"jsn:{tmp_path}/a"), 2, ("did you mean json",)),
        (_words(NUMBERED, f"json:{tmp_path}/none/a"), 1, ("none/a", "No such file")),
        (_words(NUMBERED, one, again), 2, ("already",)),
        (_words(NUMBERED, f"csv:{tmp_path}/a"), 2, ("one kind", "only=numbered.all")),
        (_words(NUMBERED, f"{one},only=numbered.al"), 2, ("did you mean numbered.all",)),
        (_words(NUMBERED, f"json:{tmp_path}/pipe"), 2, ("is a FIFO", "json:-")),
        (_words(NUMBERED, f"{one},snaplen=9"), 2, ("no option snaplen",)),
        (_words(NUMBERED, "json:-", more=["--json"]), 2, ("--json",)),
        (_words(NUMBERED, one, more=["--out", f"pcap:{tmp_path}/a"]), 2, ("already",)),
    ]
    for done, (_, code, words) in zip(together(*(given for given, _, _ in cases)), cases, strict=True):
        refused(done, code, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_the_plan_names_them(tmp_path: Path) -> None:
    done = zcframe(*_words(NUMBERED, f"json:{tmp_path}/a", more=["--check", "--json"]))
    assert done.document["rows"] == [f"json:{tmp_path}/a"] and not list(tmp_path.iterdir())
