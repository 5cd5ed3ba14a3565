"""The JSON documents as their shapes: the path of each value, and its type."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Their keys are data: names of plugins that dropped, sizes, types of records.
BY_DATA = ("dropped_by", "faulted_by", "ethertypes", "histogram", "types", "rcodes", "hash_types", "params")
TYPES = {bool: "bool", int: "integer", float: "number", str: "text", type(None): "null"}

# Fills dropped_by and faulted_by, which are empty or absent where nothing is dropped or raised.
FAULTY = '''
from zcframe import DROP, PASS, Array, plugin, u64


@plugin
class Faulty:
    """Drops UDP to port 53 and raises at IPv6."""

    seen = Array(u64, 5)

    def filter(pkt, state, params):
        state.seen[pkt.ip_version] += 1
        return DROP if pkt.dport == 53 else PASS
'''
ALL_PLUGINS = ("flows", "sizes", "talkers", "dns", "synflood")

DOCUMENTS: dict[str, Sequence[str]] = {
    "run": ["run", "--queues", "2", "--loop", "1", "--speed", "max", "--verify-rss", "--plugin", *ALL_PLUGINS],
    "run --check": ["run", "--queues", "2", "--check"],
    "rss": ["rss", "--queues", "2"],
    "doctor": ["doctor"],
    "nic status": ["nic", "status", "lo"],
}


def shape(value: Any, where: str = "") -> dict[str, Any]:
    """{path: type}: a member of a list as "[]", a member of a mapping by data as "{}"."""
    if isinstance(value, Mapping):
        by_data = where.rpartition(".")[2] in BY_DATA
        members = [(f"{where}{{}}" if by_data else f"{where}.{key}".lstrip("."), item) for key, item in value.items()]
        return {where: "mapping"} | _together(members)
    if isinstance(value, list):
        return {where: "list"} | _together([(f"{where}[]", item) for item in value])
    return {where: TYPES[type(value)]}


def _together(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Shapes of all members in one; a path that has several types, as a sorted text of them."""
    found: dict[str, set[str]] = {}
    for where, item in members:
        for path, kind in shape(item, where).items():
            found.setdefault(path, set()).update(kind.split(" or "))
    return {path: " or ".join(sorted(kinds)) for path, kinds in found.items()}


def _document(words: Sequence[str]) -> Any:
    done = subprocess.run([sys.executable, "-m", "zcframe", *words, "--json"], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1, done.stderr
    return json.loads(done.stdout)


def documents() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        faulty = Path(folder) / "faulty.py"
        faulty.write_text(FAULTY)
        more = {"run": [str(faulty)]}
        return {name: shape(_document([*words, *more.get(name, [])])) for name, words in DOCUMENTS.items()}
