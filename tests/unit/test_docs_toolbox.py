"""docs/toolbox.md: its example finds what dpkt finds, and its table of objects has the sizes and methods of the code."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import dpkt
import numpy as np

import zcframe
from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import read_capture, run
from zcframe.framework.state.layout import object_layout
from zcframe.framework.state.sketch.kind import Sketch

PAGE = (ROOT / "docs" / "toolbox.md").read_text()


def _handshakes() -> dict[int, list[tuple[int, bytes]]]:
    """(ns from SYN to SYN-ACK, client) by server port."""
    asked: dict[tuple[bytes, bytes, int, int], int] = {}
    found: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for frame in read_capture(BUNDLED):
        ip = dpkt.ethernet.Ethernet(frame.data).data
        tcp = ip.data if isinstance(ip, dpkt.ip.IP) else None
        if not isinstance(tcp, dpkt.tcp.TCP):
            continue
        if tcp.flags & 0x12 == 0x02:
            asked[ip.src, ip.dst, tcp.sport, tcp.dport] = frame.ts
        elif tcp.flags & 0x12 == 0x12 and (ts := asked.pop((ip.dst, ip.src, tcp.dport, tcp.sport), None)):
            found[tcp.sport].append((frame.ts - ts, ip.dst))
    return found


def test_the_example_measures_handshakes(tmp_path: Path) -> None:
    path = tmp_path / "handshakes.py"
    path.write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    with run([str(path)], read_capture(BUNDLED)) as rig:
        report, ledger = rig.report("handshakes"), rig.ledger()
    expected = _handshakes()
    assert ledger["faulted"] == {"handshakes": 0}
    assert {port for port, row in report.items() if row["count"]} == expected.keys() and expected
    for port, handshakes in expected.items():
        times, clients = [ns for ns, _ in handshakes], {client for _, client in handshakes}
        assert report[port]["count"] == len(times)
        median = np.quantile(times, 0.5, method="inverted_cdf")
        assert abs(report[port]["p50"] - median) <= median / 32
        assert abs(report[port]["clients"] - len(clients)) <= (0.1 * len(clients) if len(clients) > 32 else 0)


def test_the_table_has_each_object_with_its_size_and_methods() -> None:
    rows = re.findall(r"^\| `(\w+\(.*?\))` \|.*?\| (.*?) \|.*\| ([\d,]+) \|$", PAGE, re.MULTILINE)
    kinds = {}
    for declaration, calls, size in rows:
        kind = eval(declaration, vars(zcframe) | {name: getattr(zcframe, name) for name in zcframe.__all__})
        assert object_layout("one", 0, kind).size == int(size.replace(",", "")), declaration
        assert set(re.findall(r"(\w+)\(", calls)) == set(kind.METHODS), declaration
        kinds[type(kind).__name__] = kind
    public = {name for name in zcframe.__all__ if isinstance(getattr(zcframe, name), type)}
    assert kinds.keys() == {name for name in public if issubclass(getattr(zcframe, name), Sketch)}


def test_the_example_of_lists_counts_by_site(tmp_path: Path) -> None:
    path, sites = tmp_path / "sites.py", tmp_path / "sites.csv"
    path.write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[1])
    sites.write_text("network,site\n0.0.0.0/0,old\n::/0,new\n")
    frames = read_capture(BUNDLED)
    with run([f"{path}?sites={sites}"], frames) as rig:
        report, ledger = rig.report("sites"), rig.ledger()
    expected: dict[str, int] = defaultdict(int)
    for frame in frames:
        inner = dpkt.ethernet.Ethernet(frame.data).data
        site = "old" if isinstance(inner, dpkt.ip.IP) else "new"
        expected[site] += len(frame.data)
    assert ledger["faulted"] == {"sites": 0}
    assert report["sites"].keys() == expected.keys()
    assert report["sites"]["old"] == expected["old"]
