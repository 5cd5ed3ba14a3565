"""What `zcframe plugin new` writes: a plugin that does something, and its test; both are to be changed."""

from __future__ import annotations

import contextlib
import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from zcframe.framework.errors import UsageError

PLUGIN: Final = '''\
"""Packets and bytes by IP protocol: a plugin of zcframe to begin with."""

from typing import Any

from zcframe import PASS, Array, Packet, Param, State, Verdict, plugin, u64


@plugin(name="{name}", same=("shuffled", "split"))
class {cls}:
    """Packets and bytes by IP protocol."""

    least = Param(1, "packets that a protocol has at least, to be in the report", minimum=1)

    packets = Array(u64, 256)
    bytes = Array(u64, 256)

    @staticmethod
    def filter(pkt: Packet, state: Any, params: Any) -> Verdict:
        state.packets[pkt.proto] += 1
        state.bytes[pkt.proto] += pkt.wirelen
        return PASS

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        shown = (merged.packets >= params.least).nonzero()[0].tolist()
        return {{str(n): {{"packets": int(merged.packets[n]), "bytes": int(merged.bytes[n])}} for n in shown}}

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        return [f"protocol {{number}}: {{row['packets']}} packets" for number, row in report.items()]
'''

TEST: Final = '''\
"""The plugin {name}, over packets that are made here."""

from {name} import {cls}

from zcframe.testing import run_plugin, tcp, udp


def test_packets_and_bytes_by_protocol() -> None:
    result = run_plugin({cls}, [tcp(b"abc"), udp(), udp(src="2001:db8::1", dst="2001:db8::2")], queues=2)
    assert result.report == {{"6": {{"packets": 1, "bytes": 57}}, "17": {{"packets": 2, "bytes": 104}}}}
    assert (result.verdicts.passed, result.faults) == (3, ())


def test_protocols_with_few_packets_are_left_out() -> None:
    result = run_plugin({cls}, [tcp(), udp(), udp()], params={{"least": 2}})
    assert list(result.report) == ["17"]
    assert result.lines == ["protocol 17: 2 packets"]


def test_packets_that_are_cut_short() -> None:
    whole = tcp(b"abc")
    result = run_plugin({cls}, [whole[:length] for length in range(1, len(whole))])
    assert not result.faults
'''

PROJECT: Final = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{dashed}"
version = "0.1.0"
description = "Packets and bytes by IP protocol: a plugin of zcframe"
requires-python = ">=3.11"
dependencies = ["zcframe"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points."zcframe.plugins"]
{name} = "{name}:{cls}"

[tool.setuptools.packages.find]
where = ["src"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]
"""

README: Final = """\
# {name}

A plugin of zcframe: packets and bytes by IP protocol.

    pip install -e '.[test]'
    pytest
    zcframe plugin check {name}
    zcframe run --read capture.pcap --plugin {name}
"""

IN_A_PACKAGE: Final = {
    "{name}/pyproject.toml": PROJECT,
    "{name}/README.md": README,
    "{name}/src/{name}/__init__.py": PLUGIN,
    "{name}/tests/test_{name}.py": TEST,
}
IN_A_FILE: Final = {"{name}.py": PLUGIN, "test_{name}.py": TEST}


def _checked(name: str) -> str:
    """Raises UsageError for what cannot be the name of a module, or hides another one."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} is no name for a plugin: small letters, digits and _ are needed, as in top_ports")
    if name in sys.stdlib_module_names or name == "zcframe":
        raise UsageError(f"{name!r} is a module that every program needs to find: take another name, as my_{name}")
    return name


def _write(files: Mapping[Path, str]) -> None:
    """Write new files, or none. Raises UsageError for one that is there, OSError."""
    there = [str(path) for path in files if path.exists() or path.is_symlink()]
    if there:
        raise UsageError(f"{there[0]} is there already, and is not overwritten: take another name, or remove it")
    written = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                written.append(path)
                file.write(text)
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise


def write_skeleton(name: str, folder: Path, *, package: bool) -> list[Path]:
    """Write a plugin and its test, or a package with an entry point, to `folder`; returns the files.

    Raises UsageError for a name that is none, and for a file that is there already.
    """
    words = {"name": _checked(name), "cls": name.title().replace("_", ""), "dashed": name.replace("_", "-")}
    if package and (folder / name).exists():
        raise UsageError(f"{folder / name} is there already, and is not overwritten: take another name, or remove it")
    templates = IN_A_PACKAGE if package else IN_A_FILE
    files = {folder / path.format(**words): text.format(**words) for path, text in templates.items()}
    _write(files)
    return list(files)
