"""`zcframe plugin explain`: types, loops, divisions and memory of functions of which all of that is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.places import ROOT
from zcframe.framework.cli import main
from zcframe.framework.workbench.explain.machine import machine_of, readable

TEXT = """\
from zcframe import PASS, Array, plugin, u64


def share(pkt):
    return pkt.caplen % max(pkt.proto, 1)


@plugin
class Odd:
    counts = Array(u64, 2048)

    def filter(pkt, state, params):
        mean = pkt.wirelen / 2
        total = 0
        for i in range(len(pkt.payload)):
            total += pkt.payload[i]
        names = [1, 2, pkt.proto]
        names.append(pkt.ttl)
        state.counts[share(pkt)] += int(mean) + total // 7 + len(names)
        return PASS
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.py"
    path.write_text(TEXT)
    return path


def test_what_is_told_of_each_line(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "explain", str(odd)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[: lines.index("the filter as LLVM leaves it, with all that it calls and is inlined:")] == [
        "share() returns a whole number, odd.py:4",
        "line 5 a division, %",
        "",
        "filter() returns PASS or DROP, odd.py:12",
        "line 13 mean is a float",
        "line 14 total is a whole number",
        "line 15 i is a whole number",
        "line 17 names is a list",
        "line 15 a loop",
        "line 13 a division, /",
        "line 19 a division, //",
        "line 17 a list: may take memory for each packet",
        "",
    ]
    assert "divisions 1" in lines  # two of the three are by constants
    assert any(line.startswith("allocations ") and "NRT_MemInfo" in line for line in lines)


def explained(spec: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["plugin", "explain", spec, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", ["ports", "services"])
def test_the_examples_take_no_memory_and_call_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(str(ROOT / "examples" / "plugins" / f"{name}.py"), capsys)
    machine = found["machine"]
    assert (found["plugin"], machine["allocations"], machine["calls"], machine["divisions"]) == (name, {}, {}, 0)
    assert machine["instructions"] > machine["loads"] + machine["stores"] > 0
    assert [function["managed"] for function in found["functions"]] == [[]] * len(found["functions"])


def test_what_does_not_compile_is_told_as_by_a_run(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd.write_text(TEXT.replace("pkt.ttl", "pkt.tll"))
    assert main(["plugin", "explain", str(odd)]) == 1
    assert f"{odd}:18: pkt has no attribute tll" in capsys.readouterr().err


MODULE = """
declare i64 @_ZN7zcframe5tableB2v1E(i64)
declare ptr @NRT_MemInfo_alloc_safe(i64)
define i64 @f(i64 %a, i64 %b, ptr %p) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %n, %body ], [ %n, %inner ]
  %c = icmp slt i64 %i, %a
  br i1 %c, label %body, label %end
body:
  %n = add i64 %i, 1
  %x = call i64 @_ZN7zcframe5tableB2v1E(i64 %i)
  %o = icmp eq i64 %x, 0
  br i1 %o, label %head, label %inner
inner:
  %z = icmp eq i64 %x, 9
  br i1 %z, label %inner, label %head
end:
  %q = sdiv i64 %a, %b
  %r = sdiv i64 %q, 7
  %m = call ptr @NRT_MemInfo_alloc_safe(i64 %r)
  store ptr %m, ptr %p
  %v = load i64, ptr %p
  ret i64 %v
}
"""


def test_code_of_which_all_is_known() -> None:
    machine = machine_of(MODULE, "f")
    assert (machine.loads, machine.stores, machine.divisions) == (1, 1, 1)
    assert machine.calls == {"zcframe.table": 1}
    assert machine.allocations == {"NRT_MemInfo_alloc_safe": 1}
    assert machine.loops == 3  # two edges back to the head, one of `inner` to itself
    assert machine.instructions == MODULE.split("entry:")[1].count("\n  ")


def test_names_for_people() -> None:
    assert readable("_ZN7zcframe9framework5state5tableB3v12Exx") == "zcframe.framework.state.table"
    assert readable("memcpy") == "memcpy"
