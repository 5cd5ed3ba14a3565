"""Ticks of a live run: by the packets' time while they come, by the clock when they do not, once whoever is killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kit.command import until
from tests.kit.places import ANALYZERS, BUNDLED

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces")

S = 10**9
INTERVAL = S // 10


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The whole lines."""
    return [json.loads(line) for line in path.read_text("ascii").splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("backend", ["packet", "xdp"])
def test_ticks_go_on_when_traffic_stops(space: Space, tmp_path: Path, backend: str) -> None:
    """All packets are told while the run goes on; then empty intervals are, on time's grid, until the end."""
    space.veth()
    rows = tmp_path / "rows.json"
    ticking = ("--plugin", f"{ANALYZERS}/beats.py", "--rows", f"json:{rows}")
    began = time.time_ns()
    with space.capture(tmp_path, "--iface", "near", "--backend", backend, "--queues", 1, *ticking) as run:
        space.send(BUNDLED, rounds=1)
        sent = int(space.link("far")["stats64"]["tx"]["packets"])
        run.wait_for(sent)
        until(lambda: rows.exists() and sum(row["packets"] for row in rows_of(rows)) == sent)
        told = len(rows_of(rows))
        run.kill(2, "zc-rx-")
        # Nothing comes any more: the clock alone goes on.
        until(lambda: sum(row["packets"] == 0 for row in rows_of(rows)[told:]) > 500)
        done = run.stop()
    assert done.code == 0, done.stderr
    found = rows_of(rows)
    assert sum(row["packets"] for row in found) == sent
    assert done.document["plugins"]["beats"]["sum"] == [sent]
    assert all(row["now"] % INTERVAL == 0 and row["now"] >= began for row in found)
    # No interval of a shard is told twice.
    once = [(row["bucket"], row["now"]) for row in found]
    assert len(set(once)) == len(once)
