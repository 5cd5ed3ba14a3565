"""What the peers of the worked examples share: pieces of the tasks, and the one JSON line that each prints."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

SYN, ACK = 0x02, 0x10
TASKS = ("tls_names", "handshakes", "scans", "beacons", "http")


def server_name(data: bytes) -> str:
    """The server name of a ClientHello that begins with these bytes, "" where there is none."""
    if data[:2] != b"\x16\x03" or data[5:6] != b"\x01":
        return ""
    try:
        at = 44 + data[43]
        at += 2 + int.from_bytes(data[at : at + 2], "big")
        at += 3 + data[at]
        while at + 9 <= len(data):
            kind, size = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (0, 2))
            if kind == 0:
                end = at + 9 + int.from_bytes(data[at + 7 : at + 9], "big")
                return data[at + 9 : end].decode(errors="backslashreplace") if end <= len(data) else ""
            at += 4 + size
    except IndexError:
        pass
    return ""


def request(data: bytes) -> str:
    """Path of the request of HTTP/1 that begins with these bytes, "" where there is none."""
    space = data[:9].find(b" ")
    end = data[:2100].find(b" HTTP/1.", space + 1) if space > 2 else -1
    return data[space + 1 : end].decode(errors="backslashreplace") if end > 0 else ""


class Gaps:
    """Times of connections by client, server and port."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str, int], list[float]] = defaultdict(list)

    def add(self, key: tuple[str, str, int], seconds: float) -> None:
        self._times[key].append(seconds)

    @property
    def keys(self) -> set[str]:
        """Those with more than one connection, of which gaps can be told."""
        return {f"{key[0]} {key[1]} {key[2]}" for key, times in self._times.items() if len(times) > 1}


def main(run: Callable[[str, Path, int], tuple[int, set[str]]]) -> None:
    """Run a task on the command line's TASK FILE [PACKETS] (0: all), and print packets, keys found, and seconds.

    run: returns packets, and what the task found: names, ports, hosts, pairs or paths.
    """
    task, path = sys.argv[1], Path(sys.argv[2])
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    start = time.perf_counter()
    packets, keys = run(task, path, limit)
    seconds = time.perf_counter() - start
    print(json.dumps({"packets": packets, "keys": sorted(keys), "seconds": seconds}))
