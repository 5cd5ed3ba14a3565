"""docs/plugins.md: its examples run, and its table of attributes is the one of the code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import dpkt
from tests.rig import BUNDLED, Rig, read_capture

from zcframe.framework.packet.packet import DOCS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text()
README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def _example(text: str, name: str) -> str:
    """The Python block of a page that defines the class `name`."""
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if f"class {name}" in block)


def _rig(tmp_path: Path, text: str, name: str, query: str = "") -> Rig:
    path = tmp_path / f"{name.lower()}.py"
    path.write_text(_example(text, name))
    return Rig(f"{path}{query}").feed(read_capture(BUNDLED))


def _ip(frame: bytes) -> dpkt.ip.IP | dpkt.ip6.IP6 | None:
    data = dpkt.ethernet.Ethernet(frame).data
    return data if isinstance(data, dpkt.ip.IP | dpkt.ip6.IP6) else None


def test_the_smallest_example_counts_protocols(tmp_path: Path) -> None:
    counted = _rig(tmp_path, PAGE, "Protocols").state("protocols").protocols
    expected = Counter(ip.p for frame in read_capture(BUNDLED) if isinstance(ip := _ip(frame.data), dpkt.ip.IP))
    for number in (1, 2):  # IPv6 has neither ICMP nor IGMP by these numbers
        assert counted[number] == expected[number]
    assert counted.sum() == len(read_capture(BUNDLED))


def test_the_complete_example_reports_and_drops(tmp_path: Path) -> None:
    rig = _rig(tmp_path, PAGE, "Services", "?top=100000&block=53")
    report = rig.report("services")
    octets = Counter[str]()
    for frame in read_capture(BUNDLED):
        ip = _ip(frame.data)
        if isinstance(ip, dpkt.ip.IP):
            octets[".".join(map(str, ip.src))] += len(frame.data)
    ours = Counter[str]()
    for row in report["top"]:
        ours[row["host"]] += row["bytes"]
    assert report["lost"] == 0 and octets
    assert {host: ours[host] for host in octets} == dict(octets)
    assert rig.ledger()["dropped"]["services"] > 0


def test_the_readme_s_example_counts_ports(tmp_path: Path) -> None:
    rig = _rig(tmp_path, README, "Ports", "?block=53")
    assert rig.report("ports")[53] == rig.ledger()["dropped"]["ports"] > 0


def test_the_table_of_attributes_is_complete() -> None:
    rows = dict(re.findall(r"^\| `pkt\.(\w+)` \| (.*) \|$", PAGE, re.M))
    assert rows == DOCS
