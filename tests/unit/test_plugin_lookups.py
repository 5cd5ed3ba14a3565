"""Patterns and Prefixes in plugins: what is found, also in plain Python; lists that change; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.rig import bound
from zcframe import PASS, Param, Patterns, Prefixes, Records, Table, i64, plugin, text, u32, u64
from zcframe.framework.chain.build import build_chain
from zcframe.framework.config import RunConfig
from zcframe.framework.errors import DeclarationError, PluginCompileError
from zcframe.framework.show.run_plan import plan_lines
from zcframe.framework.supervisor.prepare import plan
from zcframe.framework.workbench.interpret.run import interpret_plugin
from zcframe.testing import run_plugin, tcp, udp


@plugin
class Lists:
    """Hits by pattern, and packets by network."""

    file = Param("", "networks")
    words = Patterns([b"GET", "he", b"hers", b"she", b"x"], fold=True)
    none = Patterns([])
    nets = Prefixes(file, text(20))
    own = Prefixes({"10.0.0.0/8": 1, "10.1.0.0/16": -5, "2001:db8::/32": 6}, default=99)
    listed = Prefixes(["192.0.2.0/24", "::/0"])
    hits = Table(key={"index": u32}, value={"count": u64, "ends": u64, "starts": u64})
    packets = Table(key={"net": text(20), "own": i64, "listed": i64}, value={"count": u64})

    def filter(pkt: Any, state: Any, params: Any):
        hit = state.words.find(pkt.payload[1:])
        while hit:
            row = state.hits.upsert(hit.index)
            row.count += 1
            row.starts += hit.start
            row.ends += hit.end
            hit = state.words.next(pkt.payload[1:], hit)
        if state.none.find(pkt.payload) or state.words.find(b"nothing"):
            return PASS
        listed = state.listed.find(pkt.src) if pkt.src in state.listed else -2
        row = state.packets.upsert(state.nets.find(pkt.src), state.own.find(pkt.dst), listed)
        row.count += 1
        return PASS

    def report(merged: Any):
        hits = {
            merged.words[row.index].decode(): [int(row.count), int(row.starts), int(row.ends)] for row in merged.hits
        }
        rows = merged.packets
        return {"hits": hits, "packets": sorted((r.net.decode(), int(r.own), int(r.listed)) for r in rows)}


PACKETS = [
    tcp(src="192.0.2.1", dst="10.1.2.3", payload=b"xuSHErs get"),
    tcp(src="10.9.9.9", dst="10.2.0.1"),
    udp(src="2001:db8::1", dst="2001:db8::2", payload=b"she"),
    udp(src="172.16.0.1", dst="8.8.8.8", payload=b"x"),
]
FOUND = {
    "hits": {"GET": [1, 7, 10], "he": [2, 2 + 0, 4 + 2], "hers": [1, 2, 6], "she": [1, 1, 4]},
    "packets": [["", 1, -2], ["", 99, -2], ["documentation", -5, 0], ["six", 6, 1]],
}


@pytest.fixture
def networks(tmp_path: Path) -> str:
    file = tmp_path / "nets.csv"
    file.write_text('network,name\n# two\n192.0.2.0/24,documentation\n\n2001:db8::/32,"six"\n')
    return str(file)


@pytest.mark.parametrize("queues", [1, 8])
def test_a_plugin_finds_what_is_in_its_lists(networks: str, queues: int) -> None:
    result = run_plugin(Lists, PACKETS, queues=queues, params={"file": networks})
    assert not result.faults
    assert result.report == FOUND


def test_plain_python_finds_the_same(networks: str) -> None:
    result = interpret_plugin(Lists, PACKETS, {"file": networks})
    assert not result.faults
    assert result.report == FOUND


def test_another_list_compiles_nothing(networks: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("10.0.0.0/8,ten\n")
    chains = [build_chain([bound(Lists, file=file)]) for file in (networks, str(other))]
    assert chains[0].path == chains[1].path
    assert run_plugin(Lists, PACKETS, params={"file": str(other)}).report["packets"][-1][0] == "ten"


def test_the_plan_shows_what_lists_take(networks: str, tmp_path: Path) -> None:
    file = tmp_path / "lists.py"
    file.write_text(
        "from zcframe import PASS, Array, Param, Prefixes, plugin, u64\n\n\n@plugin\nclass Own:\n"
        "    file = Param('', 'networks')\n    nets = Prefixes(file)\n    seen = Array(u64, 1)\n\n"
        "    def filter(pkt, state, params):\n        state.seen[0] += pkt.src in state.nets\n        return PASS\n"
    )
    Path(networks).write_text("10.0.0.0/8\n")
    planned = plan(RunConfig(plugins=(f"{file}?file={networks}",), loop=1))
    assert planned.plugins[0].state.lookups["nets"] > 0
    assert any("nets 1 KiB for all workers" in line for line in plan_lines(planned))


def _of_file(kind: Any, tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "list"
    file.write_bytes(octets)
    kind(file).built()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"10.0.0.0/8,1\n10.0.0.0/33,2\n", "list:2: '10.0.0.0/33' is no prefix"),
        (b"10.0.0.0/\n", "list:1: '10.0.0.0/' is no prefix"),
        (b"banana,1\n", "list:1: 'banana' is no prefix"),
        (b"10.0.0/8,1\n", "list:1: '10.0.0/8' is no prefix"),
        (b"\n#\n10.0.0.1/8,1\n", "list:3: 10.0.0.1/8 has bits behind its length: 10.0.0.0/8 is the prefix"),
        (b"::/0,word\n", "list:1: the value 'word' is no whole number"),
        (b"::/0,1.5\n", "list:1: the value '1.5' is no whole number"),
        (b"10.0.0.0/8,1\n::/0,1\n10.0.0.0/8,2\n", "list:3: 10.0.0.0/8 has another value at .*list:1"),
        (b"10.0.0.0/8,\xff\n", "list:1: .*utf-8"),
        (b'"10.0.0.0/8,1\n', "list:1: "),
        (b"10.0.0.0/8\0,1\n", "list:1: "),
    ],
)
def test_a_wrong_line_of_prefixes_is_named(tmp_path: Path, octets: bytes, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        _of_file(Prefixes, tmp_path, octets)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"GET\nPOST\nGET\n", r"list:3: b'GET' is the same as .*list:1: leave one out"),
        (b"a\\q\n", r"list:1: \\q: \\xNN and \\\\ are possible"),
        (b"a\\x1\n", r"list:1: \\x: "),
        (b"\\", r"list:1: "),
    ],
)
def test_a_wrong_line_of_patterns_is_named(tmp_path: Path, octets: bytes, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        _of_file(Patterns, tmp_path, octets)


def test_a_file_of_patterns_has_any_bytes(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"# words\nGET \n\\x00\\xff\\\\\r\n\n\\x23\n")
    assert list(Patterns(file).built().entries) == [b"GET ", b"\x00\xff\\", b"#"]


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    for refused in (
        lambda: Patterns(b"GET"),
        lambda: Patterns({"a": 1}),
        lambda: Patterns(Param(3)),
        lambda: Patterns([b""]).built(),
        lambda: Patterns([3]).built(),
        lambda: Patterns([b"a", b"A"], fold=True).built(),
        lambda: Patterns([b"a" * 4096, *(bytes([i]) * 4096 for i in range(256))]).built(),
        lambda: Prefixes(7),
        lambda: Prefixes([], u64.max[3]),
        lambda: Prefixes([], text(3), default="four"),
        lambda: Prefixes({"::/0": 1 << 63}).built(),
        lambda: Prefixes({"::/0": None, "10.0.0.0/8": "long"}, text(3)).built(),
        lambda: Prefixes(tmp_path / "missing").built(),
        lambda: Prefixes(tmp_path).built(),
        lambda: Prefixes("").built(),
    ):
        with pytest.raises(DeclarationError):
            refused()


def test_a_missing_file_names_plugin_and_list() -> None:
    with pytest.raises(DeclarationError, match=r"plugin lists: nets: a file is needed: none is named"):
        bound(Lists)


def _refusal(line: str, **state: Any) -> str:
    scope: dict[str, Any] = {"PASS": PASS}
    exec(f"def filter(pkt, state, params):\n    {line}\n    return PASS\n", scope)
    made = plugin(type("Wrong", (), {"filter": staticmethod(scope["filter"]), **state}))
    with pytest.raises(PluginCompileError) as refused:
        build_chain([bound(made)])
    return str(refused.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("state.words.find(pkt.src)", "words.find() takes a view, or bytes"),
        ("state.nets.find(pkt.payload)", "nets.find() takes an address, as pkt.src"),
        ("state.words.search(pkt.payload)", "the Patterns words have no search"),
        ("state.nets.next(pkt.payload, 1)", "the Prefixes nets have no next"),
        ("state.words.next(pkt.payload, 1)", "words.next() takes a view, or bytes, and the hit"),
    ],
)
def test_a_wrong_question_is_refused_with_its_line(line: str, why: str) -> None:
    told = _refusal(line, words=Patterns(["GET"]), nets=Prefixes(["10.0.0.0/8"]))
    assert why in told


def test_patterns_go_on_in_the_next_segment() -> None:
    made = plugin(Segments)
    packets = [tcp(payload=part) for part in (b"xxx us", b"er", b"s", b" users")]
    result = run_plugin(made, packets)
    assert not result.faults
    assert result.report == {"hits": 2}


class Segments:
    """Words of a flow, over segments."""

    words = Patterns(["users"])
    flows = Table(key={"src": u64}, value={"state": u32.max, "hits": u64})
    log = Records(at=u64)

    def filter(pkt: Any, state: Any, params: Any):
        row = state.flows.upsert(pkt.src_lo)
        if row:
            hit = state.words.find(pkt.payload, 0, row.state)
            row.state = hit.state
            row.hits += hit.index == 0
        return PASS

    def report(merged: Any):
        return {"hits": sum(int(row.hits) for row in merged.flows)}
