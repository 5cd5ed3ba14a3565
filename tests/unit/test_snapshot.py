"""How long a worker stands still while its state is copied."""

from __future__ import annotations

from typing import Any

import pytest

from zcframe.framework.supervisor import standstill as snapshot

SHARDS = [(0, shard) for shard in range(10)]


class Worker:
    """In place of a member and its post, and of the state: keeps what was copied in each pause."""

    process, finished = object(), False

    def __init__(self, *, obedient: bool = True) -> None:
        self.obedient, self.standing = obedient, False
        self.pauses: list[list[tuple[int, int]]] = []

    @property
    def post(self) -> Worker:
        return self

    @property
    def parked(self) -> bool:
        return self.obedient and self.standing

    def pause(self) -> None:
        self.standing = True
        self.pauses.append([])

    def resume(self) -> None:
        self.standing = False

    def copy(self, plugin: int, shard: int) -> None:
        assert self.standing or self.finished
        self.pauses[-1].append((plugin, shard))

    def look(self) -> bool:
        it: Any = self
        return snapshot.copy_live(it, it, SHARDS)


def test_a_short_copy_takes_one_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PAUSE_S", 60.0)
    worker = Worker()
    assert worker.look()
    assert worker.pauses == [SHARDS]
    assert not worker.standing


def test_a_long_copy_takes_a_pause_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PAUSE_S", 0.0)
    worker = Worker()
    assert worker.look()
    assert worker.pauses == [[shard] for shard in SHARDS]
    assert not worker.standing


def test_a_worker_that_does_not_obey_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE_S", 0.01)
    worker = Worker(obedient=False)
    assert not worker.look()
    assert worker.pauses == [[]]
    assert not worker.standing


def test_a_worker_that_has_ended_need_not_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    worker.finished = True
    worker.pauses.append([])
    assert worker.look()
    assert worker.pauses == [SHARDS]
