"""docs/flows.md: its example finds what dpkt finds, and its table has what a flow answers."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import dpkt

from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import read_capture
from zcframe.framework.state.flow.declare import ASKED, KEPT, KEY
from zcframe.testing import run_plugin

PAGE = (ROOT / "docs" / "flows.md").read_text()


def _written(folder: Path) -> str:
    path = folder / "talks.py"
    path.write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    return str(path)


def _requests() -> Counter[str]:
    """Host and first line of what HTTP clients of IPv4 sent in one segment right behind their SYN."""
    begun, found = dict[tuple[bytes, bytes, int, int], int](), Counter[str]()
    for frame in read_capture(BUNDLED):
        ip = dpkt.ethernet.Ethernet(frame.data).data
        tcp = ip.data if isinstance(ip, dpkt.ip.IP) and not ip.offset else None
        if not isinstance(tcp, dpkt.tcp.TCP):
            continue
        ends = ip.src, ip.dst, tcp.sport, tcp.dport
        if tcp.flags & 0x12 == 0x02:
            begun[ends] = tcp.seq + 1
        elif tcp.dport == 80 and begun.get(ends) == tcp.seq and b"\r\n" in tcp.data:
            host = ".".join(map(str, ip.dst))
            found[f"{host}:{tcp.dport} {tcp.data.partition(bytes([13, 10]))[0][:80].decode('latin-1')}"] += 1
            del begun[ends]
    return found


def test_the_example(tmp_path: Path) -> None:
    result = run_plugin(_written(tmp_path), BUNDLED, 2)
    report = result.report
    assert not result.faults and report["lost"] == 0
    frames = [frame for frame in read_capture(BUNDLED) if _is_ip(frame.data)]
    assert report["up"] + report["down"] == sum(frame.wire or len(frame.data) for frame in frames)
    asked, requests = Counter(report["asked"]), _requests()
    assert requests and requests <= asked


def _is_ip(data: bytes) -> bool:
    return isinstance(dpkt.ethernet.Ethernet(data).data, dpkt.ip.IP | dpkt.ip6.IP6)


def test_the_table_has_what_a_flow_answers() -> None:
    taught = set(re.findall(r"`f\.(\w+)", PAGE))
    kept = {name for name in KEPT if not name.startswith("_")} - {"state"}
    assert {*ASKED, *KEY, *kept, "new"} <= taught
