"""What is seen while packets flow: whole packets only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit.command import Finished, zcframe
from tests.kit.places import ANALYZERS, BUNDLED


def intervals(done: Finished) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("queues", [1, 3])
def test_no_snapshot_shows_half_a_packet(queues: int) -> None:
    words = ["--queues", queues, "--stats-interval", "0.02", "--duration", "2", "--loop", "0"]
    done = zcframe("run", "--json", *words, "--plugin", f"{ANALYZERS}/ledgers.py", "--read", BUNDLED)
    assert done.code == 0, done
    seen = [line["plugins"]["ledgers"]["pairs"] for line in intervals(done)]
    totals = [sum(first for first, _ in pairs) for pairs in seen]
    assert len(set(totals)) > 5, "the packets did not flow while we looked"
    assert totals == sorted(totals)
    assert not [pair for pairs in seen for pair in pairs if pair[0] != pair[1]]
    assert sum(first for first, _ in done.document["plugins"]["ledgers"]["pairs"]) == done.document["totals"]["packets"]
