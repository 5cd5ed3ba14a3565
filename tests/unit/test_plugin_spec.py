"""--plugin SPEC: what is found, what is refused, and in which words."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from zcframe.framework.chain import spec as spec_module
from zcframe.framework.chain.catalog import installed
from zcframe.framework.chain.spec import parse_spec
from zcframe.framework.errors import PluginSpecError

ONE = '''
from zcframe import PASS, Array, Param, plugin, u64

@plugin{arguments}
class {name}:
    """Counts."""

    limit = Param(10, "a number", minimum=1, maximum=1000)
    share = Param(0.5, "a part")
    strict = Param(False, "a switch")
    mode = Param("fast", "a choice", choices=("fast", "slow"))
    label = Param("", "any text")
    floor = Param(1, "a number", minimum=1)
    roof = Param(1.0, "a number", maximum=9)
    counts = Array(u64, 4)

    @staticmethod
    def filter(pkt, state, params):
        return PASS
'''


def written(folder: Path, *names: str, arguments: str = "", extra: str = "") -> Path:
    path = folder / "mine.py"
    path.write_text("".join(ONE.format(name=name, arguments=arguments) for name in names) + extra)
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return written(tmp_path, "Mine")


def refusal(text: str) -> str:
    with pytest.raises(PluginSpecError) as caught:
        parse_spec(text)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_with_one_plugin(mine: Path) -> None:
    found = parse_spec(str(mine))
    assert (found.declared.name, found.declared.doc, dict(found.params)) == ("mine", "Counts.", {})
    assert found.origin == str(mine)


def test_a_member_of_a_file_and_of_a_module(mine: Path) -> None:
    assert parse_spec(f"{mine}:Mine").declared.name == "mine"
    assert parse_spec("zcframe.plugins.talkers:Talkers?top=3").params == {"top": 3}


@pytest.mark.parametrize("name", ["flows", "sizes", "talkers", "dns", "synflood"])
def test_installed_plugins(name: str) -> None:
    found = parse_spec(name)
    assert found.declared.name == name
    assert found.origin == f"zcframe.plugins.{name}"


def test_the_catalogue_lists_parameters_and_docs() -> None:
    plugins = {info.name: info for info in installed()}
    assert {"flows", "sizes", "talkers", "dns", "synflood"} <= set(plugins)
    assert plugins["synflood"].doc.startswith("SYNs without answer per destination")
    assert [param.name for param in plugins["synflood"].params] == [
        "threshold",
        "window",
        "drop",
        "capacity",
        "connections",
        "top",
    ]
    assert all(param.doc for info in plugins.values() for param in info.params)


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("limit=1", {"limit": 1}),
        ("limit=1000&share=0", {"limit": 1000, "share": 0.0}),
        ("share=2.5e-1", {"share": 0.25}),
        ("strict=yes", {"strict": True}),
        ("strict=0", {"strict": False}),
        ("mode=slow&label=a%20b%26c", {"mode": "slow", "label": "a b&c"}),
        ("label=", {"label": ""}),
        ("", {}),
    ],
)
def test_parameters_take_the_type_of_their_default(mine: Path, query: str, params: dict[str, Any]) -> None:
    found = dict(parse_spec(f"{mine}?{query}").params)
    assert found == params
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in params.items()}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limits=3", "mine has no parameter limits; did you mean limit?"),
        ("limit=many", "limit=many: a whole number is needed"),
        ("limit=", "limit=: a whole number is needed"),
        ("limit=1.5", "limit=1.5: a whole number is needed"),
        ("limit=0", "limit=0: a value from 1 to 1000 is needed"),
        ("limit=1001", "limit=1001: a value from 1 to 1000 is needed"),
        ("floor=0", "floor=0: at least 1 is needed"),
        ("roof=10", "roof=10: at most 9 is needed"),
        ("share=half", "share=half: a number is needed"),
        ("share=nan", "share=nan: a number is needed"),
        ("strict=perhaps", "strict=perhaps: true or false is needed"),
        ("mode=faster", "mode=faster: one of fast, slow is needed"),
    ],
)
def test_wrong_parameters(mine: Path, query: str, words: str) -> None:
    assert refusal(f"{mine}?{query}") == f"--plugin {mine}?{query}: {words}"


def test_unknown_names() -> None:
    assert refusal("flow") == "--plugin flow: no plugin of that name is installed; did you mean flows?"
    assert "there are: dns, flows, sizes, synflood, talkers" in refusal("xyzzy")
    assert refusal("zcframe.plugins.flows:Flow").endswith("there is no Flow in it")
    assert refusal("zcframe.plugins.flows:ICMP").endswith("is not a class marked with @plugin")
    assert "module no.such.module cannot be imported: ModuleNotFoundError" in refusal("no.such.module:Class")


def test_files_that_are_not_there_or_not_python(tmp_path: Path) -> None:
    assert refusal(f"{tmp_path}/nothere.py") == f"--plugin {tmp_path}/nothere.py: there is no such file"
    (tmp_path / "folder.py").mkdir()
    assert refusal(f"{tmp_path}/folder.py").endswith("there is no such file")
    broken = tmp_path / "broken.py"
    broken.write_text("def filter(:\n")
    assert "broken.py: cannot be loaded: SyntaxError" in refusal(str(broken))
    broken.write_text("import sys\nsys.exit(4)")
    assert "broken.py: cannot be loaded: line 2: SystemExit: 4" in refusal(str(broken))
    broken.write_bytes(b"\xff\xfe\x00garbage")
    assert "broken.py: cannot be loaded: " in refusal(str(broken))
    broken.write_text("open('/nothere/at/all')")
    assert "broken.py: cannot be loaded: line 1: FileNotFoundError" in refusal(str(broken))


def test_files_without_a_plugin_or_with_several(tmp_path: Path) -> None:
    path = written(tmp_path, extra="class Mine: pass\n")
    assert refusal(str(path)) == f"--plugin {path}: has no class marked with @plugin"
    assert refusal(f"{path}:Mine").endswith("is not a class marked with @plugin")
    path = written(tmp_path, "One", "Two")
    assert refusal(str(path)) == f"--plugin {path}: has 2 plugins (One, Two): name one, as in {path}:One"
    assert parse_spec(f"{path}:Two").declared.name == "two"


def test_an_imported_plugin_is_not_the_files_own(tmp_path: Path) -> None:
    path = written(tmp_path, "Mine", extra="from zcframe.plugins.sizes import Sizes\n")
    assert parse_spec(str(path)).declared.name == "mine"


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, name in zip(folders, ("First", "Second"), strict=True):
        folder.mkdir()
        written(folder, name)
    assert [parse_spec(str(folder / "mine.py")).declared.name for folder in folders] == ["first", "second"]


def test_an_installed_plugin_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zc_test_broken.py").write_text("import no_such_thing_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = EntryPoint("broken", "zc_test_broken:Broken", spec_module.GROUP)
    monkeypatch.setattr(spec_module, "installed_entries", lambda: {"broken": entry})
    assert refusal("broken").startswith(
        "--plugin broken: module zc_test_broken cannot be imported: line 1: ModuleNotFoundError"
    )


def test_one_that_cannot_be_loaded_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zc_test_broken.py").write_text("import no_such_thing_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = [
        EntryPoint("broken", "zc_test_broken:Broken", spec_module.GROUP),
        EntryPoint("flows", "zcframe.plugins.flows:Flows", spec_module.GROUP),
        EntryPoint("flows", "another.package:Flows", spec_module.GROUP),
    ]
    monkeypatch.setattr(spec_module, "entry_points", lambda group: entries)
    found = {(info.name, info.origin): info for info in installed()}
    assert found["broken", "zc_test_broken"].fault.startswith("module zc_test_broken cannot be imported")
    assert not found["flows", "zcframe.plugins.flows"].fault
    assert found["flows", "another.package"].fault.endswith("use --plugin another.package:Flows")
    assert parse_spec("flows").origin == "zcframe.plugins.flows"


DECLARATIONS = {
    "no filter": ("class P: pass", "plugin P has no function filter(pkt, state, params)"),
    "method": ("class P:\n  def filter(self, pkt, state, params): return 0", "must take (pkt, state, params)"),
    "per host": ("class P:\n  @staticmethod\n  def filter(pkt, state, params): return 0", "'bucket' or 'worker'"),
    "lines": (
        "class P:\n  @staticmethod\n  def filter(pkt, state, params): return 0\n  @staticmethod\n  def lines(): return []",
        "P.lines() must take (report)",
    ),
    "array of none": ("class P:\n  counts = Array(u64, 0)", "it needs a length of 1 or more"),
    "param of none": ("class P:\n  limit = Param(None)", "a bool, int, float or str is needed"),
    "no key": ("class P:\n  t = Table(key={}, value={'n': u64})", "1 to 12 fields in its key"),
    "no value": ("class P:\n  t = Table(key={'k': u64}, value={})", "at least one value"),
    "a field twice": ("class P:\n  t = Table(key={'k': u64}, value={'k': u64})", "cannot have a field 'k'"),
    "new": ("class P:\n  t = Table(key={'k': u64}, value={'new': u64})", "cannot have a field 'new'"),
    "no last": ("class P:\n  t = Table(key={'k': u64}, value={'n': u64}, idle=3)", "names in `last` a u64 value"),
    "two dimensions": ("class P:\n  counts = Array(u64, (4, 4))", "it has one dimension"),
    "half an array": ("class P:\n  counts = Array(u64, 2.5)", "it needs a length of 1 or more"),
    "a type in quotes": (
        "class P:\n  counts = Array('u64', 4)",
        "an Array holds u8, u16, u32, u64, i64, f64 or addr, not 'u64'",
    ),
    "a type of Python": (
        "class P:\n  t = Table(key={'k': int}, value={'n': u64})",
        "text(n), blob(n) or u16[8] in field k, not",
    ),
    "text in an Array": ("class P:\n  names = Array(text(8), 4)", "i64, f64 or addr, not text(8)"),
    "several in an Array": ("class P:\n  names = Array(u16[2], 4)", "i64, f64 or addr, not u16[2]"),
    "a float as a key": (
        "class P:\n  t = Table(key={'k': f64}, value={'n': u64})",
        "whole numbers, addr, text and blob in its key, k is f64",
    ),
    "a long key": (
        "class P:\n  t = Table(key={str(i) + 'k': addr for i in range(7)}, value={'n': u64})",
        "a key of 14 words, 12 are possible",
    ),
    "a wide row": (
        "class P:\n  t = Table(key={'k': u64}, value={'n': f64[4096], 'm': u8})",
        "rows of 32,777 bytes: 32,768 are",
    ),
    "long text": (
        "class P:\n  t = Table(key={'k': text(5000)}, value={'n': u64})",
        "text(5000): a length of 1 to 4096",
    ),
    "last with a sign": (
        "class P:\n  t = Table(key={'k': u64}, value={'n': i64}, idle=3, last='n')",
        "names in `last` a u64",
    ),
    "least that is text": (
        "class P:\n  t = Table(key={'k': u64}, value={'n': text(3), 'd': u8}, done='d', least='n')",
        "a Table names in `done` and `least` value fields u8 to u64, not 'n'",
    ),
    "fields in a row": ("class P:\n  t = Table(key=['k'], value={'n': u64})", "fields by name"),
    "no room": ("class P:\n  t = Table(key={'k': u64}, value={'n': u64}, capacity=0)", "it needs 1 row or more"),
    "negative idle": (
        "class P:\n  t = Table(key={'k': u64}, value={'n': u64}, idle=-1, last='n')",
        "idle=-1: seconds are needed",
    ),
    "async": ("class P:\n  async def filter(pkt, state, params): return 0", "P.filter() is async"),
    "a generator": ("class P:\n  def filter(pkt, state, params): yield 0", "P.filter() yields"),
    "async report": (
        "class P:\n  def filter(pkt, state, params): return 0\n  async def report(merged): return {}",
        "P.report() is async",
    ),
    "a classmethod": ("class P:\n  @classmethod\n  def filter(cls, pkt, state): return 0", "P.filter is a classmethod"),
    "a property": (
        "class P:\n  def filter(pkt, state, params): return 0\n  @property\n  def report(self): return {}",
        "P.report is a property: a plain function is needed",
    ),
    "misspelt": (
        "class P:\n  def filter(pkt, state, params): return 0\n  def reprot(merged): return {}",
        "P.reprot() is never called; did you mean report?",
    ),
    "misspelt filter": ("class P:\n  def fliter(pkt, state, params): return 0", "did you mean filter?"),
    "lost": (
        "class P:\n  lost = Array(u64, 1)\n  @staticmethod\n  def filter(pkt, state, params): return 0",
        "a member of its state cannot be called lost",
    ),
}


@pytest.mark.parametrize("name", DECLARATIONS)
def test_declarations_that_are_refused(tmp_path: Path, name: str) -> None:
    text, words = DECLARATIONS[name]
    per = "@plugin(per='host')" if name == "per host" else "@plugin"
    path = tmp_path / "mine.py"
    kinds = "addr, f64, i64, text, u8, u16, u64"
    path.write_text(f"from zcframe import Array, Param, Table, plugin, {kinds}\n{per}\n{text}\n")
    message = refusal(str(path))
    assert words in message
    assert message.startswith(f"--plugin {path}: cannot be loaded: line ")
    assert "Error" not in message
