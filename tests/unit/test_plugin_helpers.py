"""Plain functions of the plugin's module, of other modules and of enclosing functions, called from filter."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.kit.rig import Rig, bound
from zcframe import PASS, Array, Param, Table, plugin, u64
from zcframe.framework.chain.build import build_chain

FRAMES = [raw(Ether() / IP(src=f"10.0.0.{i}", dst="10.0.0.99") / UDP(sport=1000 + i, dport=53)) for i in range(1, 21)]

SCALE = 3


def is_even(number):  # type: ignore[no-untyped-def]
    return number % 2 == 0


def weighed(number, scale=SCALE):  # type: ignore[no-untyped-def]
    return number * scale if is_even(number) else 0


def note(state, row, number):  # type: ignore[no-untyped-def]
    """Takes state and rows, and returns several values."""
    if row:
        row.total += number
    state.counts[0] += 1
    return number, number + 1


@plugin
class Calls:
    factor = Param(2)
    counts = Array(u64, 4)
    ports = Table(key={"port": u64}, value={"total": u64})

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.ports.upsert(pkt.dport)
        one, two = note(state, row, weighed(pkt.sport - 1000))
        state.counts[1] += one
        state.counts[2] += two
        state.counts[3] += weighed(pkt.sport - 1000, params.factor)
        return PASS


def counts_of(declared: Any, **params: Any) -> list[int]:
    with Rig(bound(declared, **params)) as rig:
        rig.feed(FRAMES)
        assert sum(rig.ledger()["faulted"].values()) == 0
        counts: list[int] = rig.state(rig.plugins[0].name).counts.tolist()
        return counts


def test_helpers_and_their_helpers_are_compiled_with_the_plugin() -> None:
    even = sum(range(2, 21, 2))
    assert counts_of(Calls) == [20, even * 3, even * 3 + 20, even * 2]
    assert counts_of(Calls, factor=5)[3] == even * 5


def test_a_helper_stays_plain_python_for_everybody_else() -> None:
    assert weighed(4) == 12
    assert type(weighed).__name__ == "function"


@pytest.mark.parametrize("power", [1, 2])
def test_what_an_enclosing_function_holds(power: int) -> None:
    """Two plugins of one text that differ by what they took along are two chains."""

    def raised(number):  # type: ignore[no-untyped-def]
        return number**power

    @plugin
    class Enclosed:
        counts = Array(u64, 1)

        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            state.counts[0] += raised(pkt.sport - 1000)
            return PASS

    assert counts_of(Enclosed) == [sum(i**power for i in range(1, 21))]


def test_functions_within_the_filter() -> None:
    @plugin
    class Inner:
        counts = Array(u64, 1)

        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            def twice(x):  # type: ignore[no-untyped-def]
                return x + x if is_even(x) else 0

            state.counts[0] += twice(pkt.sport - 1000)
            return PASS

    assert counts_of(Inner) == [2 * sum(range(2, 21, 2))]


HELPERS = "def tripled(x):\n    return x * 3\n"
USES = """
from zc_test_helpers import tripled
from zcframe import PASS, Array, plugin, u64

@plugin
class Uses:
    counts = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):
        state.counts[0] += tripled(1)
        return PASS
"""


def test_a_helper_of_another_module_and_a_change_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cached is not used any more once the other module's text is another."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "uses.py").write_text(USES)
    for factor in (3, 40):
        sys.modules.pop("zc_test_helpers", None)
        (tmp_path / "zc_test_helpers.py").write_text(HELPERS.replace("3", str(factor)))
        # Python looks at the time of a source in seconds: a change within one would go unseen.
        for cached in tmp_path.glob("__pycache__/*"):
            cached.unlink()
        assert counts_of(str(tmp_path / "uses.py")) == [20 * factor]


def test_two_plugins_of_one_name_and_layout_are_two_chains(tmp_path: Path) -> None:
    body = textwrap.dedent(USES).replace("from zc_test_helpers import tripled\n", "").replace("tripled(1)", "{n}")
    text = body.format(n=1).replace("@plugin", "@plugin(name='same')").replace("class Uses", "class One")
    text += body.format(n=7).replace("@plugin", "@plugin(name='same')").replace("class Uses", "class Two")
    path = tmp_path / "both.py"
    path.write_text(text)
    assert [counts_of(f"{path}:{name}") for name in ("One", "Two")] == [[20], [140]]


def test_one_file_in_two_folders_is_two_chains(tmp_path: Path) -> None:
    """numba's cache knows the modules of what it compiled by name, and the name of a plugin file tells its folder."""
    paths = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        text = USES.replace("from zc_test_helpers import tripled\n", "").replace("tripled(1)", "1")
        (folder / "mine.py").write_text(text)
        paths.append(build_chain([bound(str(folder / "mine.py"))]).path)
    assert paths[0] != paths[1]


def test_parameters_of_the_report_alone_need_no_new_chain() -> None:
    assert build_chain([bound("talkers", top=3)]).path == build_chain([bound("talkers", top=4)]).path
    assert build_chain([bound("talkers")]).path != build_chain([bound("talkers", capacity=1 << 20)]).path


def test_tables_of_one_name_in_two_plugins() -> None:
    """Fields at the same places under other names are other rows."""

    @plugin(name="first")
    class First:
        ports = Table(key={"port": u64}, value={"one": u64, "two": u64})

        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            row = state.ports.upsert(pkt.dport)
            if row:
                row.two += 1
            return PASS

    @plugin(name="second")
    class Second:
        ports = Table(key={"port": u64}, value={"two": u64, "one": u64})

        @staticmethod
        def filter(pkt, state, params):  # type: ignore[no-untyped-def]
            row = state.ports.upsert(pkt.dport)
            if row:
                row.two += 1
            return PASS

    with Rig(First, Second) as rig:
        rig.feed(FRAMES)
        for name in ("first", "second"):
            (row,) = rig.state(name).ports
            assert (int(row["one"]), int(row["two"])) == (0, 20)
