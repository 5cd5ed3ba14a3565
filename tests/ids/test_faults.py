"""Instances of Suricata that stop or are killed: what they decoded and what is missing are the whole, to the frame."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.ids.test_shares import RULES, write
from tests.ids.trace import attack_trace
from tests.kit.command import Background, until
from tests.kit.suricata import Instance

pytestmark = pytest.mark.needs("suricata")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(attack_trace(), tmp_path_factory.mktemp("trace") / "all.pcap")


class Live:
    """A paced capture without end, shared out to two instances."""

    def __init__(self, capture: Path, folder: Path, pps: str, *more: object) -> None:
        self.fifos = [folder / "x0", folder / "x1"]
        source = ("run", "--json", "--stats-interval", 0.1, "--read", capture, "--loop", 0, "--pps", pps, "--queues", 2)
        self.run = Background(folder, *source, "--out", f"fifo:{folder}/x{{}},buffer=1M", "--shares", 2, *more)
        until(lambda: all(fifo.exists() for fifo in self.fifos))
        self.instances = [Instance(fifo, RULES, folder / f"log-{fifo.name}") for fifo in self.fifos]

    def rows(self) -> list[dict[str, Any]]:
        """Of the last tick."""
        ticks = list(self.run.ticks())
        return list(ticks[-1]["outputs"][0]["shares"]) if ticks else []

    def wait(self, share: int, reason: str) -> None:
        """Until frames of a share are dropped for this reason."""
        self.run.wait_until(lambda: any(row["dropped"].get(reason) for row in self.rows()[share:][:1]), reason)

    def wait_for_readers(self, share: int, readers: int) -> None:
        """Until so many came, and frames went to the last of them."""
        self.run.wait_until(lambda: any(row["readers"] == readers for row in self.rows()[share:][:1]), "a reader")
        so_far = self.rows()[share]["written"]
        self.run.wait_until(lambda: self.rows()[share]["written"] > so_far + 3000, "frames for it")

    def stop(self) -> list[dict[str, Any]]:
        done = self.run.stop(signal.SIGINT)
        assert done.code == 0, done
        rows: list[dict[str, Any]] = done.document["outputs"][0]["shares"]
        assert sum(row["offered"] for row in rows) == done.ledger["accepted"]
        assert all(row["offered"] == row["written"] + sum(row["dropped"].values()) for row in rows), rows
        return rows


def test_one_that_does_not_keep_up_loses_what_is_counted(capture: Path, tmp_path: Path) -> None:
    """It is stopped for a while: its ring runs full, that of the other one does not."""
    live = Live(capture, tmp_path, "20k")
    with live.run:
        live.wait_for_readers(1, 1)
        live.instances[1].process.send_signal(signal.SIGSTOP)
        live.wait(1, "ring_full")
        live.instances[1].process.send_signal(signal.SIGCONT)
        rows = live.stop()
        reports = [instance.finish() for instance in live.instances]
    assert rows[1]["dropped"]["ring_full"] > 0
    assert [report.decoded for report in reports] == [row["written"] for row in rows]


def test_one_that_is_killed_and_returns(capture: Path, tmp_path: Path) -> None:
    """The other one has all of its share; the successor decodes whole packets from its first one on."""
    live = Live(capture, tmp_path, "5k")
    with live.run:
        live.wait_for_readers(1, 1)
        live.instances[1].process.kill()
        live.instances[1].process.wait()
        live.wait(1, "no_reader")
        successor = Instance(live.fifos[1], RULES, tmp_path / "log-again")
        live.wait_for_readers(1, 2)
        rows = live.stop()
        survivor, again = live.instances[0].finish(), successor.finish()
    assert survivor.decoded == rows[0]["written"] and "no_reader" not in rows[0]["dropped"]
    assert 3000 < again.decoded < rows[1]["written"]
    assert again.stats["decoder"]["invalid"] == 0 and again.alerts
