"""What is seen while packets flow: whole packets only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.command import Background, until
from tests.kit.places import ANALYZERS, BUNDLED

# Of different totals.
LOOKS = 20


def pairs_of(document: dict[str, Any]) -> list[list[int]]:
    return document["plugins"]["ledgers"]["pairs"]  # type: ignore[no-any-return]


def totals_of(run: Background) -> list[int]:
    """Packets that the plugin had seen at each look."""
    return [sum(first for first, _ in pairs_of(tick)) for tick in run.ticks()]


@pytest.mark.parametrize("queues", [1, 3])
def test_no_snapshot_shows_half_a_packet(tmp_path: Path, queues: int) -> None:
    words = ["--queues", queues, "--stats-interval", "0.02", "--loop", "0"]
    plugin = f"{ANALYZERS}/ledgers.py"
    with Background(tmp_path, "run", "--json", *words, "--plugin", plugin, "--read", BUNDLED) as run:
        until(lambda: len(set(totals_of(run))) > LOOKS, what="looks at packets that flow")
        done = run.stop()
    assert done.code == 0, done
    totals, seen = totals_of(run), [pairs_of(tick) for tick in run.ticks()]
    assert totals == sorted(totals)
    assert not [pair for pairs in seen for pair in pairs if pair[0] != pair[1]]
    assert sum(first for first, _ in pairs_of(done.document)) == done.document["totals"]["packets"]
