"""docs/plugins.md: its examples run and find what dpkt finds, and its table of attributes is the one of the code."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

import zcframe
from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import Frame, Rig, bound, read_capture, run
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.spec import GROUP
from zcframe.framework.errors import PluginCompileError
from zcframe.framework.packet.value import DOCS

PAGE = (ROOT / "docs" / "plugins.md").read_text()
README = (ROOT / "README.md").read_text()


def _example(text: str, name: str) -> str:
    """The Python block of a page that defines `name`."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if re.search(rf"^(class|def) {name}\b", block, re.MULTILINE))


def _written(tmp_path: Path, text: str, name: str) -> Path:
    path = tmp_path / f"{name.lower()}.py"
    path.write_text(_example(text, name))
    return path


def _rig(tmp_path: Path, text: str, name: str, query: str = "") -> Rig:
    return Rig(f"{_written(tmp_path, text, name)}{query}").feed(read_capture(BUNDLED))


def _ip(frame: bytes) -> dpkt.ip.IP | dpkt.ip6.IP6 | None:
    data = dpkt.ethernet.Ethernet(frame).data
    return data if isinstance(data, dpkt.ip.IP | dpkt.ip6.IP6) else None


def _source(ip: dpkt.ip.IP | dpkt.ip6.IP6) -> str:
    return socket.inet_ntop(socket.AF_INET if isinstance(ip, dpkt.ip.IP) else socket.AF_INET6, ip.src)


def test_the_smallest_example_counts_protocols(tmp_path: Path) -> None:
    with _rig(tmp_path, PAGE, "Protocols") as rig:
        counted = rig.state("protocols").protocols
    expected = Counter(ip.p for frame in read_capture(BUNDLED) if isinstance(ip := _ip(frame.data), dpkt.ip.IP))
    for number in (1, 2):  # IPv6 has neither ICMP nor IGMP by these numbers
        assert counted[number] == expected[number]
    assert counted.sum() == len(read_capture(BUNDLED))


def test_the_complete_example_reports_and_drops(tmp_path: Path) -> None:
    with _rig(tmp_path, PAGE, "Services", "?top=100000&block=53") as rig:
        report, lines, dropped = rig.report("services"), rig.lines("services"), rig.ledger()["dropped"]["services"]
    expected, ours, dns = Counter[str](), Counter[str](), 0
    for frame in read_capture(BUNDLED):
        ip = _ip(frame.data)
        if ip is not None:
            expected[_source(ip)] += len(frame.data)
            layer = ip.data
            dns += isinstance(layer, dpkt.udp.UDP | dpkt.tcp.TCP) and 53 in (layer.sport, layer.dport)
    for row in report["top"]:
        ours[row["host"]] += row["bytes"]
    assert report["lost"] == 0
    assert dict(ours) == dict(expected)
    assert dropped == dns > 0
    assert lines[0].startswith(f"{len(report['top'])} services, busiest ")


def _sent_lately(frames: list[Frame], seconds: float) -> dict[str, int]:
    """Bytes by source in the present half of the window and the one before, from dpkt."""
    half = int(seconds * 5e8)
    latest = max(frame.ts // half for frame in frames)
    octets = Counter[str]()
    for frame in frames:
        ip = _ip(frame.data)
        if ip is not None and frame.ts // half >= latest - 1:
            octets[_source(ip)] += len(frame.data)
    return dict(octets)


@pytest.mark.parametrize(("seconds", "queues"), [(0.5, 1), (0.5, 4), (3.0, 4)])
def test_the_example_with_a_merge(tmp_path: Path, seconds: float, queues: int) -> None:
    """The clock of a bucket is that of its packets: the merge brings all to the latest."""
    frames = [frame for frame in read_capture(BUNDLED) if _ip(frame.data) is not None]
    expected = _sent_lately(frames, seconds)
    plugin = bound(str(_written(tmp_path, PAGE, "Recent")), queues, seconds=seconds, top=1000)
    with run([plugin], frames, queues=queues) as rig:
        report = rig.report("recent")
    assert {row["host"]: row["bytes"] for row in report["top"] if row["bytes"]} == expected
    assert (report["hosts"], report["lost"]) == (len(expected), 0)


def test_the_examples_merge_is_associative(tmp_path: Path) -> None:
    plugin = bound(str(_written(tmp_path, PAGE, "Recent")), seconds=0.5, top=1000)
    with run([plugin], read_capture(BUNDLED)) as rig:
        states, expected = rig.states("recent"), rig.report("recent")
    merge, report = plugin.declared.merge, plugin.declared.report
    assert merge is not None and report is not None
    grouped = merge([merge(states[:7]), merge([merge(states[7:50]), merge(states[50:])])])
    found: dict[str, Any] = report(grouped, plugin.params_tuple())
    assert sorted(map(str, found["top"])) == sorted(map(str, expected["top"]))


def test_the_example_with_a_view(tmp_path: Path) -> None:
    ether = Ether() / IP(src="10.0.0.1", dst="10.0.0.2")
    payloads = [b"GET /index.html HTTP/1.1\r\n", b"GET /", b"GET", b"", b"POST / HTTP/1.1", b"GET " + b"x" * 400]
    frames = [raw(ether / TCP() / payload) for payload in payloads] + [raw(ether / UDP() / b"GET / ")]
    with run([str(_written(tmp_path, PAGE, "Gets"))], frames) as rig:
        assert rig.ledger()["faulted"] == {"gets": 0}
        assert rig.report("gets") == {"/index.html": 1, "/": 1}


def test_the_readme_s_example_counts_ports(tmp_path: Path) -> None:
    with _rig(tmp_path, README, "Ports", "?block=53") as rig:
        assert rig.report("ports")[53] == rig.ledger()["dropped"]["ports"] > 0


def test_the_table_of_attributes_is_complete() -> None:
    rows = re.findall(r"^\| `pkt\.(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert {name: text.replace("\\|", "|") for name, text in rows} == DOCS


def test_every_public_name_is_taught() -> None:
    names = [name for name in zcframe.__all__ if name not in ("__version__", "Scalar", "State")]
    taught = PAGE + (ROOT / "docs" / "library.md").read_text()
    assert [name for name in names if not re.search(rf"\b{name}\b", taught)] == []


def test_the_message_for_a_mistake(tmp_path: Path) -> None:
    path = _written(tmp_path, PAGE, "Protocols")
    path.write_text(path.read_text().replace("pkt.proto", "pkt.prto"))
    with pytest.raises(PluginCompileError) as caught:
        build_chain([bound(str(path))])
    assert str(caught.value).replace(str(path), path.name) in PAGE


def _command(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that finds this zcframe and the modules in `folder`."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "zcframe").write_text(f'#!/bin/sh\nexec {sys.executable} -m zcframe "$@"\n')
    (programs / "zcframe").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{folder}"}
    return subprocess.run(
        [str(word) for word in words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_the_example_of_a_test_passes_and_can_fail(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(_example(PAGE, "test_protocols"))
    plugin = _written(tmp_path, PAGE, "Protocols")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"]
    done = _command(*words, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    plugin.write_text(plugin.read_text().replace("+= 1", "+= 2"))
    assert _command(*words, folder=tmp_path).returncode == 1


def test_an_entry_point_makes_a_plugin_known(tmp_path: Path) -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    ((name, target),) = tomllib.loads(toml)["project"]["entry-points"][GROUP].items()
    module = target.partition(":")[0]
    package = tmp_path / module.partition(".")[0]
    package.mkdir()
    (package / "__init__.py").touch()
    _written(package, PAGE, "Services")
    info = tmp_path / f"{package.name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n")
    done = _command(sys.executable, "-m", "zcframe", "plugins", folder=tmp_path)
    assert f"{name}  ({module})" in done.stdout, done.stderr
    assert "service port whose packets are dropped" in done.stdout
