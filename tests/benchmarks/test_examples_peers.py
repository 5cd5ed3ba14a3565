"""The peers of the worked examples do the same tasks: what they find in the bundled trace is what the examples find."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.authors.examples import peer
from benchmarks.peers.examples.task import TASKS
from tests.examples.test_worked_examples import EXAMPLES
from tests.kit.command import zcframe
from tests.kit.places import BUNDLED
from zcframe.testing import run_plugin

# A host that the peers do not see: they look through VLAN tags alone.
BEHIND_OTHER_HEADERS = "10.82.201."


def _keys(task: str, report: dict[str, Any]) -> set[str]:
    if task == "tls_names":
        return set(report["top"])
    if task == "handshakes":
        return {str(port) for port, found in report["ports"].items() if found["handshakes"]}
    if task == "scans":
        return set(report["scans"])
    return {f"{one['client']} {one['server']} {one['port']}" for one in report["beacons"]}


def _found(task: str) -> set[str]:
    if task == "http":
        rows = zcframe("run", "--read", str(BUNDLED), "--plugin", f"{EXAMPLES}/http.py", "--rows", "csv:-").stdout
        return {line.rsplit(",", 1)[1] for line in rows.splitlines()[1:]}
    params = {"scans": {"targets": 1}, "beacons": {"gaps": 2, "jitter": 1e9}}.get(task, {})
    return _keys(task, run_plugin(f"{EXAMPLES}/{task}.py", BUNDLED, params=params).report)


@pytest.mark.needs("nfstream")
@pytest.mark.parametrize("task", TASKS)
def test_peers_find_what_the_examples_find(task: str) -> None:
    found = {key for key in _found(task) if not key.startswith(BEHIND_OTHER_HEADERS)}
    theirs = [set(peer(package, task, BUNDLED).keys) for package in ("nfstream", "scapy")]
    if task == "beacons":
        # Of two gaps; theirs are of one gap and more.
        assert found and all(found <= keys for keys in theirs)
        assert theirs[0] == theirs[1]
        return
    assert found
    assert theirs == [found, found]
