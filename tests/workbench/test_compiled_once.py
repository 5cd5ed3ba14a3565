"""What is no part of compiled code may change without a compilation; faults still tell the line of the file."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

import pytest
from numba.core import event
from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.source.lines import codes_of, counted, line_numbers
from zcframe.framework.workbench.trial import resolve, settled
from zcframe.testing import run_plugin

TEXT = '''\
"""A plugin that raises."""

from zcframe import DROP, PASS, Array, Param, merge, plugin, u64

LIMIT = 3
PAIR = (1, (2.5, b"x"))


def slot(pkt):
    return pkt.dport & 255


@plugin
class Raises:
    """Its own words."""

    word = Param("a", "used by report only")

    ports = Array(u64, 256)

    def filter(pkt, state, params):
        place = slot(pkt)
        if place > LIMIT:
            raise ValueError("too large")
        state.ports[place] += PAIR[0]
        return PASS

    def merge(states):
        return merge(states)

    def report(merged, params):
        return {"sum": int(merged.ports.sum())}

    def lines(report):
        return [str(report)]
'''

# A text that is replaced, and what replaces it.
HARMLESS = {
    "report": ("int(merged.ports.sum())", "int(merged.ports.sum()) + 1"),
    "merge": ("return merge(states)", "states = list(states)\n        return merge(states)"),
    "lines": ("return [str(report)]", "return []"),
    "a comment above": ("LIMIT = 3\n", "LIMIT = 3\n# Above.\n\n"),
    "a comment within": ("        place = slot(pkt)\n", "        place = slot(pkt)\n        # Within.\n\n"),
    "a comment in a helper": ("def slot(pkt):\n", "def slot(pkt):\n    # A port.\n"),
    "another function": ("@plugin\n", "def unused():\n    return 1\n\n\n@plugin\n"),
    "words of the class": ('"""Its own words."""', '"""Its own words.\n\n    And more."""'),
    "a parameter of report": ('Param("a",', 'Param("b",'),
}
HARMFUL = {
    "filter": ("+= PAIR[0]", "+= 2"),
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a tuple": ('b"x"', 'b"y"'),
    "the type of a constant": ("PAIR = (1,", "PAIR = (True,"),
    "a helper": ("pkt.dport & 255", "pkt.dport & 127"),
    "the state": ("Array(u64, 256)", "Array(u64, 512)"),
}


@contextmanager
def compilations() -> Iterator[list[object]]:
    """What numba compiles meanwhile, an entry a function."""
    listener = event.RecordingListener()
    found: list[object] = []
    with event.install_listener("numba:compile", listener):
        yield found
    found += [each for _, each in listener.buffer if each.is_start]


def build(path: Path) -> int:
    """How many functions are compiled for the plugin of a file."""
    with compilations() as found:
        build_chain([settled(resolve(str(path), {}), 1)])
    return len(found)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin that was compiled once. All is compiled in this process, where it is counted."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})
    monkeypatch.setattr("zcframe.framework.workbench.trial._CHAINS", {})
    file = tmp_path / "raises.py"
    file.write_text(TEXT)
    assert build(file) > 0
    return file


def test_what_compiles_nothing(path: Path) -> None:
    found = {}
    for name, (old, new) in HARMLESS.items():
        path.write_text(TEXT.replace(old, new))
        assert path.read_text() != TEXT, name
        found[name] = build(path)
    assert found == dict.fromkeys(HARMLESS, 0)


@pytest.mark.long
def test_what_compiles(path: Path) -> None:
    found = {}
    for name, (old, new) in HARMFUL.items():
        path.write_text(TEXT.replace(old, new))
        assert path.read_text() != TEXT, name
        found[name] = build(path) > 0
    assert found == dict.fromkeys(HARMFUL, True)


def _line(path: Path, words: str) -> int:
    return 1 + next(number for number, line in enumerate(path.read_text().splitlines()) if words in line)


def test_a_fault_names_the_line_of_the_file_as_it_is_now(path: Path) -> None:
    packet = raw(Ether() / IP() / UDP(dport=255))
    for old, new in HARMLESS.values():
        path.write_text(TEXT.replace(old, new))
        (fault,) = run_plugin(str(path), [packet]).faults
        assert fault.reason == f"ValueError: too large, raises.py:{_line(path, 'raise ValueError')}"
        sys.modules.pop("raises", None)


def sample(a: int, *b: int) -> list[int]:
    found = [
        a,
        *(each for each in b if each),
    ]

    # A comment.
    for each in b:
        if each > 7:
            found.append(each)
    return found


def _lines(code: CodeType) -> list[tuple[int, int | None]]:
    return [(step.offset, step.positions.lineno if step.positions else None) for step in dis.get_instructions(code)]


def test_counted_lines_are_those_of_the_code_by_another_name() -> None:
    """CPython's own reader of the table, instruction by instruction."""
    for function in (sample, build_chain, run_plugin, Ether.__init__):
        code = function.__code__
        numbers = line_numbers(code, 1000)
        other = counted(code, numbers)
        back = {number: line for line, number in numbers.items()}
        assert sorted(back) == list(range(1000, 1000 + len(back)))
        for one, two in zip(codes_of(code), codes_of(other), strict=True):
            assert one.co_code == two.co_code
            assert _lines(one) == [(at, None if line is None else back[line]) for at, line in _lines(two)]
    assert counted(sample.__code__, line_numbers(sample.__code__, 1)).co_consts  # it runs, too:
    again = type(sample)(counted(sample.__code__, line_numbers(sample.__code__, 1)), globals())
    assert again(1, 0, 8) == sample(1, 0, 8)
