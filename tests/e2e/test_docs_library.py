"""docs/library.md: its examples, in one program, find what dpkt finds; its tables are complete."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import dpkt
import pytest

import zcframe
from tests.kit.command import environment
from tests.kit.places import BUNDLED, ROOT

PAGE = (ROOT / "docs" / "library.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def _octets(web: bool) -> dict[bytes, int]:
    """Bytes by source, by dpkt; b"" stands for what is not IP."""
    found: dict[bytes, int] = {}
    with BUNDLED.open("rb") as file:
        for _, frame in dpkt.pcapng.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            known = isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6)
            layer = ip.data if known else None
            ports = {layer.sport, layer.dport} if isinstance(layer, dpkt.tcp.TCP | dpkt.udp.UDP) else set()
            if not web or ports & {80, 443, 8080}:
                source = ip.src if known else b""
                found[source] = found.get(source, 0) + len(frame)
    return found


def _long_ones() -> list[str]:
    """Source and length of each frame above 1400 bytes, by dpkt."""
    found = []
    with BUNDLED.open("rb") as file:
        for _, frame in dpkt.pcapng.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if len(frame) > 1400:
                found.append(f"{ipaddress.ip_address(ip.src)} {len(frame)}")
    return found


@pytest.mark.long
def test_the_examples_run_and_find_what_dpkt_finds(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    shutil.copy(BUNDLED, tmp_path / "capture.pcap")
    told = [f"print('--- block {number}')\n{block}" for number, block in enumerate(BLOCKS)]
    (tmp_path / "guide.py").write_text("\n".join(told))
    words = [sys.executable, "guide.py"]
    env = environment(PYTHONPATH=str(ROOT / "src"))
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, hosts, frames, merged, records, recording, error, *live = re.split(r"--- block \d+\n", done.stdout)[1:]
    web = _octets(web=True)
    assert hosts.strip() == str({"hosts": len(web), "octets": sum(web.values())})
    assert frames.splitlines()[0] == str(max(web.values()))
    assert re.fullmatch(r"\d+ 0 \d+\n", first)
    assert int(re.findall(r"'octets': (\d+)", merged)[0]) <= sum(_octets(web=False).values())
    assert records.splitlines() == [*_long_ones(), str(max(int(line.split()[1]) for line in _long_ones()))]
    assert recording == ""
    assert error.startswith("2 there is no option 'quues': did you mean queues?")
    assert len(live) == 3 and " True\n" in live[0] and live[2].split()[1] == first.split()[0]


def test_the_table_of_attributes_is_complete() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    taught = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    result = zcframe.Result
    names = {name for name in dir(result) if not name.startswith("_")} | {field.name for field in fields(result)}
    assert {name for name in names if name[0] != "_"} - {"frame", "final", "records"} == taught
