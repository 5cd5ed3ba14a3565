"""The attack trace through the software 82576 and taps, into instances of Suricata that capture live."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.ids.test_parallel import check
from tests.ids.test_shares import RULES, write
from tests.ids.trace import attack_trace
from tests.kit.command import Background, until
from tests.kit.suricata import LiveInstance, Report, run
from tests.netns.space import Space

pytestmark = pytest.mark.needs("suricata", "root", "namespaces")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(attack_trace(), tmp_path_factory.mktemp("trace") / "all.pcap")


@pytest.fixture(scope="module")
def truth(capture: Path) -> Report:
    """What one instance finds in the whole file."""
    return run(capture, RULES, capture.with_name("truth"))


@pytest.mark.parametrize(
    ("names", "queues", "out"), [(("zc0", "zc1"), 1, "tap:zc{}"), (("zc0",), 2, "tap:zc0,queues=2")]
)
def test_by_taps(capture: Path, truth: Report, tmp_path: Path, names: tuple[str, ...], queues: int, out: str) -> None:
    """Two instances, and one with a thread a queue (cluster_qm). Taps that stay: what lags behind is still read."""
    with Space() as space, contextlib.ExitStack() as opened:
        for name in names:
            space.ip(f"tuntap add dev {name} mode tap {'multi_queue' if queues > 1 else ''}")
            space.ip(f"link set {name} up mtu 9000 arp off")
        source = ("run", "--json", "--read", capture, "--queues", 4, "--pps", 4000, "--plugin", "sizes")
        shares = () if queues > 1 else ("--shares", len(names))
        command = opened.enter_context(Background(tmp_path, *source, "--out", out, *shares, launcher=space.enter))
        instances = [
            opened.enter_context(LiveInstance(name, queues, RULES, tmp_path / name, space.enter)) for name in names
        ]
        done = command.finish()
        rows = done.document["outputs"][0]["shares"]
        wanted = [sum(row["written"] for row in rows if row["target"] == name) for name in names]
        until(lambda: [instance.decoded for instance in instances] == wanted, what="what was written")
        reports = [instance.stop() for instance in instances]
    check(done, reports, truth, per_share=queues == 1)
    assert not any(report.stats["capture"]["kernel_drops"] for report in reports)
    assert all(row["offered"] for row in rows)
