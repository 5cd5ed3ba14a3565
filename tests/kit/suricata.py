"""Suricata for tests: had from Debian where it is not installed, run on a file, a FIFO or taps, its eve.json read."""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

PROGRAM = "suricata"

# Alerts, counters at the end, and a record of each flow; nothing of the machine's own settings.
CONFIG = """\
%YAML 1.1
---
classification-file: {etc}/classification.config
reference-config-file: {etc}/reference.config
threshold-file: {etc}/threshold.config
stats: {enabled: yes, interval: 3600}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert: {tagged-packets: no}
        - flow
        - stats: {totals: yes, threads: no, deltas: no}
app-layer:
  protocols:
    http: {enabled: yes}
    tls: {enabled: yes, detection-ports: {dp: 443}}
    dns:
      tcp: {enabled: yes, detection-ports: {dp: 53}}
      udp: {enabled: yes, detection-ports: {dp: 53}}
unix-command: {enabled: no}
"""
# What it takes from an interface, a thread a queue.
LIVE = """\
af-packet:
  - interface: {name}
    threads: {threads}
    cluster-id: 7
    cluster-type: cluster_qm
    defrag: no
    checksum-checks: yes
    tpacket-v3: yes
    block-size: 1048576
    ring-size: {frames}
"""


@functools.cache
def _root() -> Path:
    """Below which its files are: / where it is installed, else a folder of the cache, to which it is unpacked.

    Its package, installed, would start a service that captures. Raises LabError where it cannot be had.
    """
    from tests.lab.packages import Apt, cache_folder, locked

    if shutil.which(PROGRAM):
        return Path("/")
    folder = cache_folder() / PROGRAM
    with locked(cache_folder()):
        if not (folder / "whole").exists():
            apt = Apt(cache_folder())
            apt.prepare()
            apt.unpack(folder, *apt.brought_by(PROGRAM, backports=True))
            (folder / "whole").touch()
    return folder


def environment() -> dict[str, str]:
    """What it needs besides ours."""
    folders = [_root() / "usr" / "lib" / f"{platform.machine()}-linux-gnu", _root() / "usr" / "lib"]
    return {} if _root() == Path("/") else {"LD_LIBRARY_PATH": ":".join(map(str, folders))}


def command(capture: Path | str, rules: Path, log: Path, folder: Path) -> list[str]:
    """Its words, to read a capture in one thread; its settings are written to `folder`, and `log` must be there."""
    return [*_words(rules, log, folder, CONFIG), "-r", str(capture), "--runmode", "single"]


def live_command(name: str, threads: int, rules: Path, folder: Path, *, frames: int = 16384) -> list[str]:
    """Its words, to take what comes on an interface in so many threads, each with a queue of it.

    frames: how many of the longest find room in a thread's ring, in blocks of 1 MiB.
    """
    config = CONFIG.replace("interval: 3600", "interval: 1") + LIVE.format(name=name, threads=threads, frames=frames)
    return [*_words(rules, folder, folder, config), f"--af-packet={name}", "--runmode", "workers"]


def _words(rules: Path, log: Path, folder: Path, config: str) -> list[str]:
    path = folder / "suricata.yaml"
    path.write_text(config.replace("{etc}", str(_root() / "etc" / "suricata")))
    program = shutil.which(PROGRAM) or str(_root() / "usr" / "bin" / PROGRAM)
    return [program, "-c", str(path), "-S", str(rules), "-l", str(log)]


def reason_against() -> str:
    """Why Suricata cannot be had here; "" where it can."""
    from tests.lab.packages import LabError

    try:
        _root()
    except (LabError, OSError) as error:
        return f"suricata is not installed: apt-get install suricata (and from Debian: {str(error).splitlines()[0]})"
    return ""


class Alert(NamedTuple):
    """Of a rule, on the packet or flow between these ends, as Suricata names them; ports 0 where there are none."""

    sid: int
    src: str
    sport: int
    dst: str
    dport: int
    proto: str


# Addresses and ports of a flow, whichever came first, and its protocol.
Ends = tuple[frozenset[tuple[str, int]], str]


def ends_of(alert: Alert) -> Ends:
    """Of the flow that an alert is about."""
    return frozenset(((alert.src, alert.sport), (alert.dst, alert.dport))), alert.proto


@dataclass(frozen=True)
class Report:
    """What an instance found. packets: by flow; stats: its counters at the end, as eve.json nests them."""

    alerts: frozenset[Alert]
    flows: int
    one_sided: int
    packets: Counter[Ends]
    stats: dict[str, Any]

    @property
    def decoded(self) -> int:
        """Packets that it read."""
        return int(self.stats["decoder"]["pkts"])

    @property
    def reassembled(self) -> int:
        """Datagrams put together from fragments."""
        return sum(int(self.stats["defrag"][version]["reassembled"]) for version in ("ipv4", "ipv6"))

    @property
    def sids(self) -> set[int]:
        return {alert.sid for alert in self.alerts}


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "eve.json").open() as lines:
        yield from (json.loads(line) for line in lines)


def _alert(event: dict[str, Any]) -> Alert:
    ports = event.get("src_port", 0), event.get("dest_port", 0)
    return Alert(event["alert"]["signature_id"], event["src_ip"], ports[0], event["dest_ip"], ports[1], event["proto"])


def _one_sided(event: dict[str, Any]) -> bool:
    flow = event["flow"]
    return bool(flow["pkts_toserver"] == 0) != bool(flow["pkts_toclient"] == 0)


def _packets(flows: list[dict[str, Any]]) -> Counter[Ends]:
    """Those of each flow, both directions together; a flow may be told of in parts."""
    found: Counter[Ends] = Counter()
    for event in flows:
        ends = (event["src_ip"], event.get("src_port", 0)), (event["dest_ip"], event.get("dest_port", 0))
        found[frozenset(ends), event["proto"]] += event["flow"]["pkts_toserver"] + event["flow"]["pkts_toclient"]
    return found


def report(folder: Path) -> Report:
    """What an instance wrote into its folder, once it has ended."""
    events = list(_events(folder))
    flows = [event for event in events if event["event_type"] == "flow"]
    return Report(
        frozenset(_alert(event) for event in events if event["event_type"] == "alert"),
        len(flows),
        sum(_one_sided(event) for event in flows),
        _packets(flows),
        [event["stats"] for event in events if event["event_type"] == "stats"][-1],
    )


class Instance:
    """An instance that reads a capture file, or a FIFO to its end, in one thread; it makes its folder."""

    def __init__(self, capture: Path, rules: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        words = command(capture, rules, folder, folder)
        with (folder / "said").open("w") as said:
            self.process = subprocess.Popen(words, stdout=said, stderr=said, env=os.environ | environment())

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()

    def finish(self, seconds: float = 120) -> Report:
        """Wait for its end. Fails where a rule did not load, or it did not end well."""
        try:
            code = self.process.wait(seconds)
        finally:
            self.process.kill()
        said = (self.folder / "said").read_text()
        assert code == 0, said
        assert "Error" not in said, said
        return report(self.folder)


def run(capture: Path, rules: Path, folder: Path) -> Report:
    """What one instance finds in a capture file."""
    return Instance(capture, rules, folder).finish()


class LiveInstance:
    """An instance that takes what comes on an interface; it makes its folder. launcher: words in front of it."""

    def __init__(self, name: str, threads: int, rules: Path, folder: Path, launcher: list[str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        words = [*launcher, *live_command(name, threads, rules, folder)]
        with (folder / "said").open("w") as said:
            self.process = subprocess.Popen(words, stdout=said, stderr=said, env=os.environ | environment())

    def __enter__(self) -> LiveInstance:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def decoded(self) -> int:
        """Packets that it says it has read, which it tells each second."""
        whole, _, _ = (self.folder / "eve.json").read_text().rpartition("\n")
        told = [event["stats"] for event in map(json.loads, whole.splitlines()) if event["event_type"] == "stats"]
        return int(told[-1]["decoder"]["pkts"]) if told else 0

    def stop(self, seconds: float = 120) -> Report:
        """Ask for its end, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(seconds)
        said = (self.folder / "said").read_text()
        assert code == 0, said
        return report(self.folder)
