"""The attack trace through the software 82576 and the parallel command or by FIFOs, into several instances of Suricata."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.ids.test_shares import RULES, alerts, write
from tests.ids.trace import attack_trace
from tests.kit.command import Background, Finished, until, zcframe
from tests.kit.suricata import Instance, Report, command, environment, report, run

pytestmark = pytest.mark.needs("suricata")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(attack_trace(), tmp_path_factory.mktemp("trace") / "all.pcap")


@pytest.fixture(scope="module")
def truth(capture: Path) -> Report:
    """What one instance finds in the whole file."""
    return run(capture, RULES, capture.with_name("truth"))


def words(capture: Path, folder: Path, shares: int) -> tuple[object, ...]:
    source = ("run", "--json", "--read", capture, "--queues", 4)
    return (*source, "--out", f"fifo:{folder}/x{{}}", "--shares", shares)


def check(done: Finished, reports: list[Report], truth: Report, *, per_share: bool = True) -> None:
    """Together they found what one instance finds, and each read what its row says."""
    assert done.code == 0, done
    rows = done.document["outputs"][0]["shares"]
    assert alerts(reports) == truth.alerts
    if per_share:
        assert [found.decoded for found in reports] == [row["written"] for row in rows]
    assert sum(row["offered"] for row in rows) == sum(row["written"] for row in rows) == truth.decoded
    assert all(row["offered"] and not row["dropped"] and not row["in_flight"] for row in rows)
    assert done.ledger["accepted"] == truth.decoded
    # No flow is cut in two, every datagram is whole.
    assert sum(found.flows for found in reports) == truth.flows
    assert sum(found.one_sided for found in reports) == truth.one_sided
    assert sum(found.reassembled for found in reports) == truth.reassembled


@pytest.mark.parametrize("shares", [2, 3])
def test_by_the_parallel_command(capture: Path, truth: Report, tmp_path: Path, shares: int) -> None:
    folders = [tmp_path / f"log{share}" for share in range(shares)]
    for folder in folders:
        folder.mkdir()
    instances = command("{}", RULES, tmp_path / "log{}", tmp_path)
    variables = [f"{name}={value}" for name, value in environment().items()]
    done = zcframe(*words(capture, tmp_path, shares), "--", "env", *variables, *instances)
    check(done, [report(folder) for folder in folders], truth)
    assert [row["exit_code"] for row in done.document["outputs"][0]["commands"]] == [0] * shares


def test_by_fifos(capture: Path, truth: Report, tmp_path: Path) -> None:
    """Instances that somebody else starts, of which the last one comes late."""
    fifos = [tmp_path / "x0", tmp_path / "x1"]
    with Background(tmp_path, *words(capture, tmp_path, 2)) as run:
        until(lambda: all(fifo.exists() for fifo in fifos))
        instances = []
        for fifo in fifos:
            instances.append(Instance(fifo, RULES, tmp_path / f"log-{fifo.name}"))
            time.sleep(0.2)
        check(run.finish(), [instance.finish() for instance in instances], truth)
    assert not any(fifo.exists() for fifo in fifos)
