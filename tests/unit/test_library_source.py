"""A plugin's class as text: made again from it, it does what the first one does; what cannot travel is named."""

from __future__ import annotations

import importlib.util
import linecache
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zcframe
from tests.kit.rig import Rig, bound, read_capture, run
from zcframe.framework.library.carried import Carried
from zcframe.framework.library.errors import RunError
from zcframe.framework.library.source import carry, global_names, named

HEAD = "import numpy as np\nimport os.path\nimport zcframe\nfrom zcframe import PASS, Array, Param, plugin, u64\n"
CLASS = """
@plugin
class Mine:
    n = Array(u64, 8)
    def filter(pkt, state, params):
        state.n[0] += {value}
        return PASS
"""


class Cells:
    """A notebook: each cell is a text that linecache knows, all run in one `__main__`."""

    def __init__(self) -> None:
        self.space: dict[str, Any] = {"__name__": "__main__"}
        self._names: list[str] = []

    def run(self, text: str) -> str:
        name = f"<cell {id(self)} {len(self._names)}>"
        self._names.append(name)
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        exec(compile(text, name, "exec"), self.space)
        return name

    def carried(self, name: str = "Mine") -> Carried:
        return carry(self.space[name])

    def close(self) -> None:
        for name in self._names:
            del linecache.cache[name]


@pytest.fixture
def cells() -> Iterator[Cells]:
    found = Cells()
    yield found
    found.close()


def _again(carried: Carried) -> Any:
    """The class as the process of a run makes it."""
    carried.load("")
    return getattr(sys.modules.pop(carried.module), carried.member)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(a):\n    b = a\n    return b + c", ["c"]),
        ("@d\ndef f(a=e):\n    return [x for x in a]", ["d", "e"]),
        ("class C(B):\n    x = P(1)\n    y = x\n    def f(pkt):\n        return C, g.h(x)", ["B", "P", "g", "x"]),
        ("def f():\n    def g():\n        return f, h\n    return g", ["h"]),
        ("if True:\n    class C:\n        def f(pkt):\n            return len(pkt) + k", ["len", "k"]),
    ],
)
def test_names_that_statements_use(text: str, names: list[str]) -> None:
    assert sorted(global_names(text)) == sorted(names)


def test_a_cell_s_class_brings_what_it_names(cells: Cells) -> None:
    cells.run(
        HEAD + "LIMIT = 3\nNAMES = {'a': (1, 2.5), 'b': [None, True]}\nWEIGHTS = np.arange(4)\nunrelated = object()"
    )
    cells.run(
        "def inner(pkt):\n    return pkt.dport\ndef helper(pkt):\n    return inner(pkt) if LIMIT else outer(pkt)\n"
    )
    cells.run("def outer(pkt):\n    return helper(pkt)\nalias = inner\n")
    cells.run(
        "@plugin(name='mine', per='worker')\nclass Mine:\n    'doc'\n    top = Param(LIMIT, 'rows')\n    n = Array(u64, 8)\n"
        "    def filter(pkt, state, params):\n        rows = unrelated = helper(pkt)\n        state.n[0] += rows + alias(pkt)\n"
        "        return PASS\n    def report(merged, params):\n"
        "        return {'names': NAMES, 'weights': WEIGHTS.tolist(), 'path': os.path.sep, 'z': zcframe.u8.size}\n"
    )
    made = _again(cells.carried())
    first, again = cells.space["Mine"].__zcframe__, made.__zcframe__
    assert (again.name, again.doc, again.per_worker) == (first.name, first.doc, first.per_worker)
    assert (again.params, again.state) == (first.params, first.state)
    assert again.report(None, None) == first.report(None, None)
    assert again.filter.__code__ == first.filter.__code__  # co_filename and the line are not compared
    assert again.filter.__code__.co_filename == first.filter.__code__.co_filename
    assert again.filter.__code__.co_firstlineno == first.filter.__code__.co_firstlineno
    space = again.filter.__globals__
    assert "unrelated" not in space and space["alias"] is space["inner"] and space["PASS"] is zcframe.PASS


def test_what_was_defined_last_is_what_is_meant(cells: Cells) -> None:
    cells.run(HEAD + CLASS.format(value="step"))
    names = []
    for step in (1, 2):
        cells.run(f"step = {step}")
        names.append(cells.carried().module)
        assert _again(cells.carried()).filter.__globals__["step"] == step
    assert len({*names}) == 2


def test_other_names_of_what_travels(cells: Cells) -> None:
    cells.run(
        HEAD + "def one(pkt):\n    return 1\nclass Kind:\n    def f():\n        return 5\nalias, Alias = one, Kind"
    )
    cells.run(CLASS.format(value="alias(pkt)") + "    def report(merged):\n        return {'f': Alias.f()}\n")
    made = _again(cells.carried())
    assert made.filter.__globals__["alias"](None) == 1 and made.report(None) == {"f": 5}


@pytest.mark.parametrize("order", ["old(pkt) + one(pkt)", "one(pkt) + old(pkt)"])
def test_a_name_that_would_mean_another_thing_is_refused(cells: Cells, order: str) -> None:
    cells.run(HEAD + "def one(pkt):\n    return 1\nold = one")
    cells.run("def one(pkt):\n    return 2")
    cells.run(CLASS.format(value=order))
    with pytest.raises(RunError, match="plugin mine cannot be sent to the run: one means two things in it"):
        cells.carried()


def test_a_closure_s_values_become_names() -> None:
    limit, table = 7, {"x": math.inf}

    @zcframe.plugin
    class Local:
        """Text in quotes
        that is not indented."""

        n = zcframe.Array(zcframe.u64, 1)

        def filter(pkt: Any, state: Any, params: Any) -> Any:
            state.n[0] += limit
            return zcframe.PASS

        def report(merged: Any) -> dict[str, Any]:
            return {"n": limit, "table": table, "e": np.e}

    made = _again(carry(Local))
    assert made.report(None) == Local.report(None) and made.__doc__ == Local.__doc__  # type: ignore[call-arg]
    assert made.filter.__code__.co_firstlineno == Local.filter.__code__.co_firstlineno


def test_it_counts_what_the_first_one_counts(cells: Cells, tmp_path: Path) -> None:
    cells.run(HEAD + "def port(pkt):\n    return pkt.dport & 7")
    cells.run(CLASS.format(value="port(pkt)").replace("n[0]", "n[pkt.proto & 7]"))
    carried = cells.carried()
    path = tmp_path / "mine.py"
    path.write_text(carried.text)
    from tests.kit.places import BUNDLED

    frames = read_capture(BUNDLED)[:500]
    with run([bound(f"{path}:Mine")], frames) as rig:
        expected = rig.state("mine").n.tolist()
    carried.load(str(path))
    try:
        with Rig(f"{carried.module}:Mine") as rig:
            assert rig.feed(frames).state("mine").n.tolist() == expected
            assert sum(expected) > 0
    finally:
        del sys.modules[carried.module]


def test_a_module_s_class_travels_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib_mine.py").write_text(HEAD + CLASS.format(value="1"))
    monkeypatch.syspath_prepend(tmp_path)
    import lib_mine  # type: ignore[import-not-found]

    assert named(lib_mine.Mine) == "lib_mine:Mine"
    monkeypatch.setattr(lib_mine, "Mine", None)
    spec = importlib.util.spec_from_file_location("lib_odd", tmp_path / "lib_mine.py")
    assert spec and spec.loader
    odd = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lib_odd", odd)
    spec.loader.exec_module(odd)
    assert named(odd.Mine) == "" and _again(carry(odd.Mine)).__zcframe__.name == "mine"


@pytest.mark.parametrize(
    ("before", "value", "says"),
    [
        ("f = lambda pkt: 1", "f(pkt)", "the lambda f, which <cell"),
        ("import sys\nlost = type(sys)('lost')", "lost.x", "the module lost, which <cell"),
        ("import _thread\nlock = _thread.allocate_lock()", "lock", "the lock lock, which <cell"),
        ("class Empty: x = 1", "Empty.x", "the class Empty, which <cell"),
        ("class Thing:\n    def f(self): ...\nthing = Thing()", "thing.x", "the Thing thing, which <cell"),
    ],
)
def test_what_cannot_travel_is_named(cells: Cells, before: str, value: str, says: str) -> None:
    cells.run(HEAD + before)
    cells.run(CLASS.format(value=value))
    with pytest.raises(RunError, match=re.escape(f"plugin mine cannot be sent to the run: {says}")) as caught:
        cells.carried()
    assert caught.value.exit_code == 2


def test_what_pickle_takes_travels(cells: Cells) -> None:
    cells.run(HEAD + "import datetime\nday = datetime.date(2026, 1, 2)\nnan = float('nan')")
    cells.run(CLASS.format(value="1") + "    def report(merged):\n        return {'day': day, 'nan': nan}\n")
    report = _again(cells.carried()).report(None)
    assert str(report["day"]) == "2026-01-02" and math.isnan(report["nan"])


def test_without_its_text_a_class_cannot_travel() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(HEAD + CLASS.format(value="1"), space)
    with pytest.raises(RunError, match=r"there is no text of Mine \(<string>\): put it in a file"):
        carry(space["Mine"])


@pytest.mark.parametrize("new", ["2", "1 if pkt.proto else 3"])
def test_an_edited_file_is_refused(tmp_path: Path, new: str) -> None:
    path = tmp_path / "script.py"
    path.write_text(HEAD + CLASS.format(value="1"))
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    carry(space["Mine"])
    path.write_text(HEAD + CLASS.format(value=new))
    with pytest.raises(RunError, match=f"{path} is no longer the text of filter: it was edited since, run it again"):
        carry(space["Mine"])
    path.write_text(HEAD)
    with pytest.raises(RunError, match=f"{path} is no longer the text of Mine"):
        carry(space["Mine"])
