"""`zcframe plugin check`: plugins that keep all promises pass, and each broken promise fails the check that is for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.command import zcframe
from tests.kit.places import BUNDLED
from zcframe import DROP, PASS, Array, Table, merge, plugin, u8, u64
from zcframe.framework.cli import main
from zcframe.framework.errors import DeclarationError
from zcframe.framework.workbench.check import CHECKS, Finding, Subject, findings, killed
from zcframe.framework.workbench.check.difference import difference
from zcframe.framework.workbench.frames import read_frames
from zcframe.framework.workbench.trial import resolve
from zcframe.testing import tcp, udp, write_capture

TRAFFIC = read_frames(BUNDLED)[:3000]


ENDLESS = """\
from zcframe import PASS, plugin

@plugin
class Endless:
    def filter(pkt, state, params):
        while pkt.proto == 6:
            pass
        return PASS
"""


def checked(cls: type) -> dict[str, Finding]:
    """What each check says of a plugin."""
    return {finding.check: finding for finding in findings(Subject(resolve(cls, {}), TRAFFIC))}


def failures(cls: type) -> dict[str, str]:
    return {name: finding.text for name, finding in checked(cls).items() if finding.outcome == "failed"}


def counting(**functions: Callable[..., Any]) -> type:
    """A plugin that counts packets by protocol, with other functions."""

    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[pkt.proto] += 1
        return PASS

    members = {"packets": Array(u64, 256), "filter": filter, **functions}
    return plugin(same=("shuffled", "split"))(type("Counting", (), members))


def test_one_that_keeps_all_promises() -> None:
    found = checked(counting())
    assert list(found) == list(CHECKS)
    assert {finding.outcome for finding in found.values()} == {"ok"}
    assert found["memory"].text == "0.5 MiB in 129 shards"
    assert found["kills"].text.startswith("12 kills")


def _sorted_out(states: Any) -> Any:
    """Leaves out what is rare: that is lost, also where other states have more of it."""
    merged = merge(states)
    merged.packets[merged.packets < 50] = 0
    return merged


def _in_place(states: Any) -> Any:
    for state in states[1:]:
        states[0].packets += state.packets
    return states[0]


def _averaged(states: Any) -> Any:
    merged = merge(states)
    merged.packets //= len(states)
    return merged


@pytest.mark.parametrize(
    ("functions", "check", "told"),
    [
        ({"merge": _averaged}, "merges", "keep sums in merge, and sort, cut and divide in report"),
        ({"merge": _sorted_out}, "merges", "merge([merge([a, b]), merge([c, d])]) is not merge([a, b, c, d])"),
        ({"merge": _in_place}, "merges", "merge changes the states that it is given: work on copies"),
        ({"report": lambda merged: {"a": merged.nothing}}, "traffic", "merge or report failed: AttributeError: "),
        ({"report": lambda merged: {"a": object()}}, "traffic", "neither number nor text"),
        ({"lines": lambda report: [1]}, "traffic", "lines failed: TypeError: a list of str is needed"),
    ],
)
def test_what_python_of_the_author_s_does_wrong(functions: Any, check: str, told: str) -> None:
    assert told in failures(counting(**functions))[check]


def test_a_fault_on_damaged_frames_is_told_with_its_place_and_packet() -> None:
    @plugin
    class Trusting:
        lengths = Array(u64, 2048)

        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            if pkt.frame.u16(12) == 0x0800:
                state.lengths[pkt.frame.u16(16)] += 1
            return PASS

    found = failures(Trusting)
    assert set(found) == {"flipped bits"}
    assert "IndexError: index out of range of state.lengths, which has 2048, test_check.py:" in found["flipped bits"]
    assert "guard the filter against such packets" in found["flipped bits"]


def test_what_depends_on_who_came_first() -> None:
    """Order, halves and queues: each is told, with the key that differs."""

    @plugin(per="worker", same=("shuffled", "split"))
    class Ranks:
        state = Table(key={"proto": u8}, value={"rank": u64}, capacity=512)
        seen = Array(u64, 1)

        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            state.seen[0] += 1
            row = state.state.upsert(pkt.proto)
            if row and row.new:
                row.rank = state.seen[0]
            return PASS

        @staticmethod
        def report(merged: Any) -> dict[str, Any]:
            return {"ranks": {str(row["proto"]): int(row["rank"]) for row in merged.state}}

    found = failures(Ranks)
    assert set(found) == {"queues", "shuffled", "split"}
    assert found["queues"].startswith("ranks.") and "1 queue and 2 give other reports" in found["queues"]
    assert "take 'shuffled' out of same=" in found["shuffled"]


def test_what_is_not_claimed_is_skipped() -> None:
    silent = counting()
    silent = plugin(type("Counting", (), {k: v for k, v in vars(silent).items() if not k.startswith("__")}))
    found = checked(silent)
    assert {name for name, finding in found.items() if finding.outcome == "skipped"} == {"shuffled", "split"}
    assert found["split"].text == "the plugin does not say @plugin(same=('split',))"
    with pytest.raises(DeclarationError, match="same='sorted'; shuffled and split are possible"):
        plugin(same="sorted")(type("Counting", (), {"filter": lambda pkt, state, params: PASS}))


def test_kills_are_found_out_where_nothing_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killed, "recover", lambda *_: None)
    assert "kills within bursts left something behind" in failures(counting())["kills"]


def test_nothing_else_is_checked_where_it_does_not_compile() -> None:
    @plugin
    class Misspelt:
        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            return DROP if pkt.prto else PASS

    found = checked(Misspelt)
    assert list(found) == ["compiles"]
    assert "test_check.py" in found["compiles"].text
    assert "pkt has no attribute prto; did you mean proto?" in found["compiles"].text


def test_a_state_that_does_not_fit() -> None:
    found = checked(counting(packets=Array(u64, 1 << 45)))
    assert list(found) == ["compiles", "memory"]
    assert "make packets smaller" in found["memory"].text


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, "a[1].b: 2 and 3"),
        ({"a": [1]}, {"a": [1, 2]}, "a: 1 and 2 entries"),
        ({"a": 1}, {"b": 1}, "a: only one of them has it"),
        ({"a": {"b": "x" * 90}}, {"a": 1}, "a: {'b': 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… and 1"),
        (1, 2, "the report: 1 and 2"),
    ],
)
def test_the_first_difference(one: Any, other: Any, told: str) -> None:
    assert difference(one, other) == told


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "top_ports"]) == 0
    capsys.readouterr()
    assert main(["plugin", "check", "top_ports.py?least=2", "--read", str(BUNDLED), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["plugin"], document["passed"]) == ("top_ports", True)
    assert [row["check"] for row in document["checks"]] == list(CHECKS)
    path = tmp_path / "top_ports.py"
    path.write_text(path.read_text().replace("return {str(n)", "return {0 / 0 or str(n)"))
    assert main(["plugin", "check", "top_ports.py", "--seed", "5"]) == 1
    out = capsys.readouterr().out
    assert "failed  traffic       merge or report failed: ZeroDivisionError: division by zero (top_ports.py:2" in out


def test_one_that_does_not_return_is_told(tmp_path: Path) -> None:
    path = tmp_path / "endless.py"
    path.write_text(ENDLESS)
    capture = write_capture(tmp_path / "few.pcap", [udp(), udp(), tcp()])
    done = zcframe("plugin", "check", path, "--read", capture)
    told = "plugin endless does not return from packet 3 of queue 0: give its loops a bound"
    assert (done.code, done.stderr) == (1, f"zcframe: {told}\n")
    assert done.stdout.splitlines()[0] == "ok      compiles"


def test_a_few_packets_are_enough_to_kill() -> None:
    few = Subject(resolve(counting(), {}), TRAFFIC[:5])
    (found,) = [finding for finding in findings(few) if finding.check == "kills"]
    assert (found.outcome, found.text.partition(" ")[0]) == ("ok", "12")


def test_a_capture_without_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_capture(tmp_path / "none.pcap", [])
    assert main(["plugin", "check", "sizes", "--read", str(path)]) == 2
    assert capsys.readouterr().err == f"zcframe: --read {path}: there is no packet in it\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "none.py"], "there is no such file"),
        (["check", "sizes", "--read", "none.pcap"], "cannot open none.pcap"),
        (["check", "sizes", "--seed", "x"], "a whole number is needed"),
        (["check"], "the following arguments are required: SPEC"),
        (["chekc"], "has no verb 'chekc': did you mean check?"),
        ([], "needs a verb: new, check, interpret, bench, explain"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", *words]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
