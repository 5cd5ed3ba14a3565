"""A plugin as plain Python gives the report of the compiled one, and print works in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.kit.command import PROGRAM, environment
from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import Frame, Rig
from tests.property.test_records import HANDED, Every, Two, emitted, tallies
from tests.property.test_values import Values
from tests.property.test_values import udp as datagram
from tests.unit.test_plugin_sketches import Everything
from zcframe import (
    PASS,
    Array,
    Distinct,
    LogHist,
    Param,
    Records,
    Table,
    TopK,
    addr,
    blob,
    community_id,
    f64,
    i64,
    plugin,
    text,
    u16,
    u64,
)
from zcframe.framework.cli import main
from zcframe.framework.workbench.frames import read_frames
from zcframe.framework.workbench.interpret import interpret
from zcframe.framework.workbench.trial import Result, resolve, settled
from zcframe.testing import interpret_plugin, run_plugin, tcp, udp, write_capture

FRAMES = read_frames(BUNDLED)[:2000]
EXAMPLES = ROOT / "examples" / "plugins"


@pytest.mark.parametrize("spec", ["sizes", "flows", str(EXAMPLES / "ports.py"), str(EXAMPLES / "services.py")])
def test_the_report_is_that_of_compiled_code(spec: str) -> None:
    found, expected = interpret(settled(resolve(spec, {}), 1), FRAMES), run_plugin(spec, FRAMES)  # type: ignore[arg-type]
    assert found.report == expected.report
    assert (found.verdicts, found.faults) == (expected.verdicts, expected.faults)


TEXT = '''\
from zcframe import DROP, PASS, Array, Table, plugin, u8, u64


@plugin
class Noisy:
    """Writes, and raises after that for some packets."""

    counts = Array(u64, 8)
    rows = Table(key={"port": u64}, value={"packets": u64, "last": u8}, capacity=4096)

    def ahead(pkt, state, params):
        return state.rows.spot(pkt.dport)

    def filter(pkt, state, params, ahead):
        row = state.rows.upsert(ahead)
        row.packets += 1
        row.last = pkt.dport - 300
        state.counts[pkt.proto & 7] -= 1
        if pkt.payload.u32(0) == 0x61626364:
            state.counts[8] += 1
        if pkt.dport == 53:
            print("port", pkt.sport)
            return DROP
        return PASS
'''

PACKETS = [udp(dport=53, sport=7), tcp(b"abcd"), udp(b"abcde", dport=9), udp(dport=9), tcp(), udp(b"abc", dport=9)]


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    path = tmp_path / "noisy.py"
    path.write_text(TEXT)
    return path


def test_faults_are_undone_and_told_as_in_compiled_code(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = interpret_plugin(str(noisy), PACKETS)
    assert capfd.readouterr().out == "port 7\n"
    expected = run_plugin(str(noisy), PACKETS)
    assert found.report == expected.report
    assert found.verdicts == expected.verdicts
    (one,) = found.faults
    assert found.faults == expected.faults
    assert one.reason == "IndexError: index out of range of state.counts, which has 8, noisy.py:20"


def test_the_command(noisy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capture = write_capture(tmp_path / "few.pcap", PACKETS)
    assert main(["plugin", "interpret", str(noisy), "--read", str(capture)]) == 0
    out, err = capfd.readouterr()
    printed, document = out.splitlines()
    assert printed == "port 7"
    assert json.loads(document)["rows"]["count"] == 3
    assert (
        err == "zcframe: 2 packets faulted: IndexError: index out of range of state.counts, which has 8, noisy.py:20\n"
    )


def test_a_filter_that_returns_something_else(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy.write_text(TEXT.replace("return PASS", "return 1"))
    assert main(["plugin", "interpret", str(noisy)]) == 2
    assert "plugin noisy: filter returned 1: return PASS or DROP" in capfd.readouterr().err


def test_who_leaves_the_debugger_ends_the_command(noisy: Path) -> None:
    noisy.write_text(TEXT.replace('print("port", pkt.sport)', "breakpoint()"))
    command = [*PROGRAM, "plugin", "interpret", noisy]
    done = subprocess.run(
        command, env=environment(), input="p pkt.dport\nq\n", capture_output=True, text=True, check=False
    )
    assert "(Pdb) 53\n" in done.stdout
    assert (done.returncode, done.stderr) == (1, "zcframe: interrupted\n")


def test_a_filter_of_the_plugin_s_own_is_refused(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy.write_text(TEXT.replace("@plugin\n", '@plugin(filter="udp")\n'))
    assert main(["plugin", "interpret", str(noisy)]) == 2
    assert "cannot be interpreted: leave it out" in capfd.readouterr().err


REFUSED = (
    (
        "state.rows.upsert(1.5)",
        "rows.upsert(): port of the key is u16: it takes a whole number: cut a float with int()",
    ),
    ("state.rows.upsert(1, 2)", "rows.upsert() takes the key (port), 2 values were given"),
    ("state.rows.upsert(1).packets = 0.5", "packets of a row of rows is u64: it takes a whole number: cut a float"),
    ("state.rows.upsert(1).name = 7", "name of a row of rows is text(4): it takes a view of bytes, or bytes"),
    ("state.rows.upsert(1).ports = 7", "ports of a row of rows is u16[2]: assign to one of them, ports[i]"),
    ("state.counts[0] = pkt.src", "counts holds u64: it takes a whole number"),
    ("state.sizes.add(1.5)", "sizes.add() takes whole numbers, not float64"),
    ("state.sizes.add(1, 2)", "sizes.add() takes (value), 2 values were given"),
    ("state.log.emit(ts=1)", "log.emit() needs a value for host: its fields are ts, host"),
    ("state.log.emit(ts=1, host=1)", "log.emit() has host as addr: it takes an address, as pkt.src"),
    ("pkt.payload.find(7)", "bytes, as b'GET ', or a view are needed, not 7"),
    ("pkt.payload[::2]", "a slice of a view has no step: write [start:stop]"),
)
REFUSING = """\
from zcframe import PASS, Array, LogHist, Records, Table, addr, plugin, text, u16, u64


@plugin
class Refusing:
    counts = Array(u64, 8)
    sizes = LogHist()
    rows = Table(key={"port": u16}, value={"packets": u64, "name": text(4), "ports": u16[2]})
    log = Records(ts=u64, host=addr)

    def filter(pkt, state, params):
        line = pkt.dport
"""


def test_what_the_compiler_refuses_is_a_fault_with_its_line(tmp_path: Path) -> None:
    path, first = tmp_path / "refusing.py", len(REFUSING.splitlines()) + 1
    lines = [f"        if line == {number}: {statement}\n" for number, (statement, _) in enumerate(REFUSED)]
    path.write_text(REFUSING + "".join(lines) + "        return PASS\n")
    faults = interpret_plugin(str(path), [udp(dport=number) for number in range(len(REFUSED))]).faults
    for number, (fault, (_, reason)) in enumerate(zip(faults, REFUSED, strict=True)):
        assert fault.reason.startswith(f"TypeError: {reason}")
        assert fault.reason.endswith(f", refusing.py:{first + number}")


def test_records_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "interpret", str(EXAMPLES / "http.py")]) == 0
    assert capfd.readouterr().err == "zcframe: 383 records of requests emitted\n"


def packets_of(frames: Sequence[Frame]) -> list[tuple[int, bytes]]:
    return [(frame.ts, frame.data) for frame in frames]


def octets_in(values: Any) -> bytes:
    """All that an array of numpy holds, without padding."""
    if values.dtype.names:
        return b"".join(octets_in(values[name]) for name in values.dtype.names)
    return repr(values.tolist()).encode() if values.dtype.hasobject else bytes(values.tobytes())


def assert_same(found: Result, expected: Result) -> None:
    """Shards hold the same, slot for slot."""
    assert (found.verdicts, found.faults) == (expected.verdicts, expected.faults)
    assert len(found.states) == len(expected.states) > 1
    for one, other in zip(found.states, expected.states, strict=True):
        assert (one.lost, one.expired, one.given_up) == (other.lost, other.expired, other.given_up)
        for member in one.layout.members:
            ours, theirs = (octets_in(np.asarray(getattr(state, member.name))) for state in (one, other))
            assert ours == theirs, member.name


def test_values_of_all_kinds_are_those_of_compiled_code() -> None:
    random = Random(6)
    packets = packets_of([datagram(random, number) for number in range(600)])
    found = interpret_plugin(Values, packets)
    assert found.state.signed[1] > 20 and len(found.state.ends) > 10
    assert_same(found, run_plugin(Values, packets))


def test_objects_are_those_of_compiled_code() -> None:
    found, expected = interpret_plugin(Everything, FRAMES[:400]), run_plugin(Everything, FRAMES[:400])  # type: ignore[arg-type]
    assert_same(found, expected)
    assert found.state.top.top() and found.state.sizes.count > 100


NET = ip_address("10.0.0.2")


@plugin
class Undone:
    """Changes state of every sort, and raises behind that for some packets."""

    least = Param(3)
    home = Array(addr, 2)
    means = Array(f64, 2)
    sizes = LogHist()
    named = Table(
        key={"name": text(4), "host": addr},
        value={
            "packets": u64, "balance": i64, "mean": f64, "head": blob(6), "word": text(5), "who": addr, "ports": u16[3],
            "small": Distinct(precision=4, exact=2), "large": Distinct(precision=9, exact=4), "top": TopK(key=("port",), k=4),
        },
        capacity=1 << 12,
    )  # fmt: skip
    ids = Array(u64, 3)
    log = Records(ts=u64, host=addr, name=text(4))

    @staticmethod
    def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
        return state.named.spot(pkt.payload, pkt.src)

    @staticmethod
    def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
        before = state.named.find(b"GET ", pkt.dst)
        row = state.named.upsert(ahead)
        if row:
            row.packets += 1
            row.balance -= pkt.wirelen
            row.mean += pkt.wirelen / 8
            view, row.word = row.head, pkt.payload
            row.head = pkt.payload[row.packets % 4 :]
            # What the view is of has changed.
            row.who = max(pkt.src, pkt.dst) if view[0] & 1 else min(NET, pkt.src)
            row.ports[pkt.dport % 3] += pkt.sport
            row.small.add(pkt.sport)
            row.large.add(pkt.sport, pkt.dport)
            row.top.add(pkt.wirelen, pkt.sport)
        state.home[pkt.dport & 1] = pkt.dst
        state.means[0] += 0.1 * len(pkt.payload)
        state.sizes.add(pkt.wirelen)
        state.ids[0], state.ids[1], state.ids[2] = community_id(pkt)
        state.log.emit(name=pkt.payload, ts=pkt.ts, host=pkt.src)
        if before and pkt.ts % 3 == 0:
            state.named.delete(b"GET ", pkt.dst)
            again = state.named.upsert(b"GET \0", pkt.dst)
            again.ports[0] = pkt.payload.u16le(1)
        if pkt.ts % params.least == 1:
            state.means[len(pkt.payload) + 2] = 1
        return PASS


def test_what_a_packet_that_raises_changed_is_undone_in_all_kinds() -> None:
    random = Random(7)
    packets = packets_of([datagram(random, number) for number in range(500)])
    found = interpret_plugin(Undone, packets)
    assert 100 < found.verdicts.faulted < 250 and len(found.state.named) > 10
    assert_same(found, run_plugin(Undone, packets))
    assert len(found.records["log"].rows) == found.verdicts.passed


def plain(value: Any) -> Any:
    return str(value) if isinstance(value, IPv4Address | IPv6Address) else value


@pytest.mark.parametrize("cls", [Every, Two])
def test_records_are_those_of_compiled_code(cls: Any) -> None:
    frames = [Frame(data, ts) for ts, data in FRAMES[:300].pairs()]
    found = interpret_plugin(cls, packets_of(frames))
    with Rig(cls, slots=512, outputs=[HANDED]).feed(frames) as rig:
        expected, counts = emitted(rig), tallies(rig)
    name = cls.__zcframe__.name
    for (member, records), (made, _, cut) in zip(found.records.items(), counts, strict=True):
        rows = [tuple(values) for label, _, _, *values in expected if label == f"{name}.{member}"]
        assert [tuple(map(plain, row.values())) for row in records.rows] == rows
        assert (len(records.rows), records.cut) == (made, cut) and made > 30
