"""Plugins that do not compile: the message names plugin, file and line, and says why in one paragraph."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.kit.rig import bound
from zcframe.framework.chain.build import build_chain
from zcframe.framework.errors import PluginCompileError

FILE = """
import json
from collections import Counter

import numpy as np

from zcframe import DROP, PASS, Array, Param, Table, addr, f64, ip_text, plugin, text, u8, u16, u64

SETTINGS = {{"port": 53}}
PORTS = (53, 5353)


class Other:
    pass


def double(x):
    return x * twice


def forever(x):
    return forever(x - 1) if x else 0


@plugin
class Mine:
    limit = Param(10)
    counts = Array(u64, 4)
    hosts = Table(key={{"hi": u64, "lo": u64}}, value={{"packets": u64, "flags": u8.bits}})
    names = Table(key={{"src": addr}}, value={{"path": text(8), "ports": u16[2], "mean": f64}})

    @staticmethod
    def filter(pkt, state, params):
{filter}

    @staticmethod
    def prefetch(pkt, state, params):
{prefetch}
"""

ROW = "row = state.hosts.upsert(pkt.src_hi, pkt.src_lo)\nif row:\n    "
NAMED = "named = state.names.upsert(pkt.src)\nif named:\n    "
PASSES = "\nreturn PASS"

# Body of filter; what the reason must hold; the line in the body that is named, from 1 (0, -3, -6: one outside of it).
MISTAKES: dict[str, tuple[str, str, int]] = {
    "undefined name": ("state.counts[0] += wirelen" + PASSES, "the name wirelen is not defined; did you mean pkt.wirelen?", 1),
    "undefined state": ("x = 1\ncounts[0] += 1" + PASSES, "did you mean state.counts?", 2),
    "undefined in helper": ("state.counts[0] += double(1)" + PASSES, "the name twice is not defined", -6),
    "wrong attribute": ("if pkt.source_port == 53:\n    return DROP" + PASSES, "pkt has no attribute source_port; did you mean sport?", 1),
    "misspelt attribute": ("x = 0\nx += pkt.wirelenght\nstate.counts[0] = x" + PASSES, "did you mean wirelen?", 2),
    "called attribute": ("if pkt.sport() == 53:\n    return DROP" + PASSES, "attributes of pkt are written without ()", 1),
    "assigned packet": ("pkt.sport = 3" + PASSES, "pkt cannot be changed", 1),
    "wrong member": ("state.count[0] += 1" + PASSES, "state has no member count; did you mean counts?", 1),
    "assigned member": ("state.counts = 1" + PASSES, "state.counts is an Array: assign to state.counts[i]", 1),
    "wrong field": (ROW + "row.packet += 1" + PASSES, "a row of hosts has no field packet; did you mean packets?", 3),
    "assigned key": (ROW + "row.hi = 1" + PASSES, "hi of a row of hosts is part of its key", 3),
    "wrong parameter": ("if pkt.ttl > params.limits:\n    return DROP" + PASSES, "params has no limits; did you mean limit?", 1),
    "too few words": ("state.hosts.upsert(pkt.src_lo)" + PASSES, "hosts.upsert() takes the key (hi, lo), 1 values were given", 1),
    "too many words": ("state.hosts.find(1, 2, 3)" + PASSES, "hosts.find() takes the key (hi, lo), 3 values were given", 1),
    "named words": ("state.hosts.find(hi=1, lo=2)" + PASSES, "the words of a key are given in order and without names", 1),
    "unknown verb": ("state.hosts.insert(1, 2)" + PASSES, "the Table hosts has no insert; did you mean upsert?", 1),
    "indexed table": ("state.hosts[5] += 1" + PASSES, "a Table has no index: row = state.hosts.upsert(hi, lo)", 1),
    "float index": ("state.counts[pkt.ttl / 64] += 1" + PASSES, "the index of the Array counts is a float: divide with //", 1),
    "no return": ("state.counts[0] += 1", "filter ends without a return on some path", 0),
    "return on one path": ("if pkt.ttl == 1:\n    return DROP", "filter ends without a return on some path", 0),
    "returns a str": ("return 'drop'", "filter returns a str: return PASS or DROP", 0),
    "returns a number": ("return 5", "filter returns a whole number: return PASS or DROP", 0),
    "returns a truth": ("return pkt.ttl == 64", "filter returns a bool: return PASS or DROP", 0),
    "a number on one path": ("if pkt.ttl == 1:\n    return 1" + PASSES, "filter returns a whole number", 0),
    "bound on one path": ("if pkt.ttl > 9:\n    x = 1\nstate.counts[0] += x" + PASSES, "x has no value on some path", 3),
    "bound in a loop": ("for i in range(pkt.ttl):\n    x = i\nstate.counts[0] += x" + PASSES, "x has no value", 3),
    "bound later": ("state.counts[0] += x\nx = pkt.ttl" + PASSES, "x has no value on some path to here", 1),
    "counted from the end": ("state.counts[-1] += 1" + PASSES, "[-1]: indices count from the start", 1),
    "a part from its end": ("v = pkt.payload[2:]\nw = v[1:9]\nstate.counts[0] += w[-2]" + PASSES, "[-2]: indices count from", 3),
    "a view from its end": ("v = pkt.payload\nstate.counts[0] += v[-2]" + PASSES, "[-2]: indices count from", 2),
    "returns either": ("return 'drop' if pkt.ttl else PASS", "on one path", 1),
    "mixed types": ("x = pkt.ttl\nif x == 1:\n    x = 'one'\nif x:\n    return DROP" + PASSES, "x is a whole number on one path and a str on another", 4),
    "text and number": ("x = pkt.ttl + 'a'" + PASSES, "a whole number + a str has no meaning", 1),
    "compared with text": ("if pkt.src_lo > '10.0.0.1':\n    return DROP" + PASSES, "an address compares with a constant", 1),
    "dict from outside": ("if pkt.sport == SETTINGS['port']:\n    return DROP" + PASSES, "SETTINGS is a dict: of what is outside", 1),
    "dict of all sorts": ("x = {'a': 1, 2: 3}" + PASSES, "a dict has keys of one type", 1),
    "class": ("x = Counter()" + PASSES, "Counter is a class, which compiled code cannot use", 1),
    "plain Python": ("x = ip_text(1, 2)" + PASSES, "ip_text cannot be compiled", 1),
    "module": ("x = json.dumps(1)" + PASSES, "json.dumps cannot be used here", 1),
    "endless helper": ("x = forever(3)" + PASSES, "forever calls itself", -3),
    "f-string": ("x = 1\nname = f'{pkt.ttl:x}'\nif name == 'a':\n    return DROP" + PASSES, "an f-string of this kind", 2),
    "list of all sorts": ("x = ['a']\nx.append(pkt.ttl)" + PASSES, "a list that holds a str cannot take a whole number", 2),
    "except": ("try:\n    state.counts[9] += 1\nexcept IndexError:\n    pass" + PASSES, "`except Exception:` only", 3),
    "except as": ("try:\n    state.counts[9] += 1\nexcept Exception as e:\n    pass" + PASSES, "`except Exception:` only", 3),
    "with": ("with open('x') as f:\n    pass" + PASSES, "`with` does not exist", 1),
    "import": ("import math" + PASSES, "an import stands at the top of the file", 1),
    "global": ("global X\nX = 1" + PASSES, "`global` does not exist", 1),
    "generator": ("x = sum(i for i in range(3))" + PASSES, "a generator expression does not exist", 1),
    "slice with a step": ("if pkt.payload[0:4:2] == b'GE':\n    return DROP" + PASSES, "a slice of a view has no step", 1),
    "view and number": ("if pkt.payload == 7:\n    return DROP" + PASSES, "a view of bytes == a whole number has no meaning", 1),
    "looked for": ("if pkt.payload.find(7) == 0:\n    return DROP" + PASSES, "find() of a view takes bytes", 1),
    "no verb of a view": ("if pkt.payload.lower() == 0:\n    return DROP" + PASSES, "a view of bytes has no lower: it has v[i]", 1),
    "address and number": ("x = 1\nif pkt.src == 7:\n    return DROP" + PASSES, "an address == a whole number has no meaning", 2),
    "half of an address": ("x = pkt.src.high" + PASSES, "an address has no high: it has hi and lo", 1),
    "fraction in a field": (ROW + "row.packets += 1 / 2" + PASSES, "packets of a row of hosts is u64: it takes a whole number: cut", 3),
    "fraction in an Array": ("x = 1\nstate.counts[0] = pkt.ts * 0.5" + PASSES, "counts holds u64: it takes a whole number: cut", 2),
    "fraction in a key": ("row = state.hosts.find(1, pkt.ts / 2)" + PASSES, "lo of the key is u64: it takes a whole number: cut", 1),
    "number in text": (NAMED + "named.path = 7" + PASSES, "path of a row of names is text(8): it takes a view of bytes, or bytes", 3),
    "text in a number": (NAMED + "named.mean = b'x'" + PASSES, "mean of a row of names is f64: it takes a number", 3),
    "str in text": (NAMED + "named.path = 'x'" + PASSES, "path of a row of names is text(8): it takes a view of bytes", 3),
    "number as an address": ("state.names.upsert(pkt.src_lo)" + PASSES, "src of the key is addr: it takes an address, as pkt.src", 1),
    "several assigned": (NAMED + "named.ports = 7" + PASSES, "ports of a row of names is u16[2]: assign to one of them, ports[i]", 3),
    "delete in words": (NAMED + "named.delete()" + PASSES, "a row of names has no field delete", 3),
    "numpy": ("x = np.frobnicate(1)" + PASSES, "has no attribute 'frobnicate'", 1),
}  # fmt: skip

PREFETCHES = {
    "writes": ("state.counts[0] += 1", "prefetch cannot write to counts", 1),
    "deletes": ("state.hosts.delete(1, 2)", "prefetch cannot call hosts.delete()", 1),
    "upserts": ("state.hosts.upsert(1, 2)", "prefetch cannot call hosts.upsert()", 1),
    "wrong attribute": (
        "x = 1\nstate.hosts.prefetch(pkt.source, pkt.src_lo)",
        "pkt has no attribute source; did you mean",
        2,
    ),
}

START = len(FILE.split("{filter}")[0].splitlines())


def refusal(tmp_path: Path, body: str = "return PASS", prefetch: str = "pass") -> tuple[PluginCompileError, Path]:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(filter=textwrap.indent(body, " " * 8), prefetch=textwrap.indent(prefetch, " " * 8)))
    with pytest.raises(PluginCompileError) as caught:
        build_chain([bound(str(path))])
    return caught.value, path


def check(error: PluginCompileError, path: Path, line: int, reason: str) -> None:
    message = str(error)
    found = re.fullmatch(rf"plugin mine does not compile: {re.escape(str(path))}:(\d+): (.*)", message)
    assert found, message
    assert reason in found[2]
    assert int(found[1]) == line, message
    assert len(message) < 450
    assert error.exit_code == 1


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_filter(tmp_path: Path, name: str) -> None:
    body, reason, at = MISTAKES[name]
    error, path = refusal(tmp_path, body)
    line = START + at
    if at <= 0:
        text = path.read_text().splitlines()
        mark = {0: "@staticmethod", -3: "def forever(x):", -6: "return x * twice"}[at]
        line = 1 + next(i for i, words in enumerate(text) if words.strip() == mark)
    check(error, path, line, reason)


@pytest.mark.parametrize("name", PREFETCHES)
def test_mistakes_in_prefetch(tmp_path: Path, name: str) -> None:
    prefetch, reason, at = PREFETCHES[name]
    error, path = refusal(tmp_path, prefetch=prefetch)
    start = len(path.read_text().split("def prefetch")[0].splitlines())
    check(error, path, start + at, reason)


def test_numbas_own_text_is_kept_for_verbose(tmp_path: Path) -> None:
    error, _ = refusal(tmp_path, "return pkt.nothing")
    assert "Unknown attribute 'nothing' of type zcframe.Packet" in error.details
    assert "Unknown attribute" not in str(error)


def test_the_plugin_that_is_wrong_is_named_among_others(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(filter="        return pkt.nothing", prefetch="        pass"))
    with pytest.raises(PluginCompileError, match="plugin mine does not compile"):
        build_chain([bound("sizes"), bound(str(path)), bound("talkers")])
