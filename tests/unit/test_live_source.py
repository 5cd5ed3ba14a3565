"""The life that all live sources share, with a backend that only keeps a diary; and what gives things back."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from zcframe.framework.nic import LinkChange
from zcframe.framework.ring import Undo
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources import live
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.live import LiveSource
from zcframe.framework.sources.plan import LivePlan

STOPPED = SourceEvent("finished", "lo stopped")


class Thing:
    """Something that is taken, and notes when it is given back."""

    def __init__(self, diary: list[str], name: str, error: BaseException | None = None) -> None:
        self._diary, self._name, self._error = diary, name, error

    def close(self) -> None:
        self._diary.append(f"{self._name} closed")
        if self._error is not None:
            raise self._error


class Diary(LiveSource[Any]):
    backend = "packet"
    broken = False
    settled = True

    def _make(self) -> None:
        self.diary: list[str] = []
        self._undo.closing(Thing(self.diary, "memory"))
        self.rings += [Thing(self.diary, "ring 0"), Thing(self.diary, "ring 1")]
        if self.broken:
            diaries.append(self.diary)
            raise OSError("no")

    def _take(self) -> None:
        self._undo.closing(Thing(self.diary, "program", OSError("it is gone")))
        self._watch_link(socket.if_nametoindex("lo"))

    def _let_come(self) -> None:
        self.diary.append("open")

    def _let_no_more_come(self) -> None:
        self.diary.append("shut")

    def _settled(self) -> bool:
        return self.settled


diaries: list[list[str]] = []


@pytest.fixture
def plan() -> LivePlan:
    return LivePlan("packet", "lo", RssConfig.make("symmetric", "5-tuple", 1), queues=1)


@pytest.fixture
def source(plan: LivePlan) -> Iterator[Diary]:
    made = Diary(plan)
    made.start()
    yield made
    made.close()


def readable(source: LiveSource[Any], seconds: float = 0.0) -> bool:
    return bool(select.select([source.events_fd], [], [], seconds)[0])


def test_nothing_happens_and_nobody_is_woken(source: Diary) -> None:
    source.go()
    assert source.diary == ["open"]
    assert source.poll_events() == [] and not readable(source)
    assert source.progress() == (0, 0)


def test_a_warning_wakes_and_is_reported_once(source: Diary) -> None:
    source._warn("first", "second")
    assert readable(source, 5.0)
    assert [event.text for event in source.poll_events()] == ["first", "second"]
    assert source.poll_events() == [] and not readable(source)
    source._warn()
    assert not readable(source)


def test_the_end_is_reported_once_behind_all_news_and_stays_readable(source: Diary) -> None:
    source._warn("news")
    source.stop()
    assert source.diary == ["shut"]
    assert readable(source, 5.0)
    assert source.poll_events() == [SourceEvent("warning", "news"), STOPPED]
    assert source.poll_events() == [] and readable(source, 5.0)
    assert source.poll_events() == [] and readable(source)


def test_an_end_waits_until_all_is_settled(source: Diary) -> None:
    source.settled = False
    source.stop()
    for _ in range(3):
        assert readable(source, 5.0)
        assert source.poll_events() == []
    source.settled = True
    assert readable(source, 5.0)
    assert source.poll_events() == [STOPPED]


def test_an_end_that_never_settles_is_reported_all_the_same(source: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SETTLE_S", 0.05)
    source.settled = False
    source.stop()
    found: list[SourceEvent] = []
    while not found:
        assert readable(source, 5.0)
        found = source.poll_events()
    assert found == [STOPPED]


@pytest.mark.parametrize("gone_first", [True, False])
def test_an_interface_that_is_gone_has_failed_also_behind_the_order_to_stop(source: Diary, gone_first: bool) -> None:
    """Until the end is reported nobody can tell which came first."""
    gone = LinkChange("gone", "lo is gone")
    if gone_first:
        source._hear(gone)
        source.stop()
    else:
        source.stop()
        source._hear(gone)
    assert source.poll_events() == [SourceEvent("failed", "lo is gone")]
    source._hear(gone)
    assert source.poll_events() == []


def test_an_interface_that_goes_behind_its_end_changes_nothing(source: Diary) -> None:
    source.stop()
    assert source.poll_events() == [STOPPED]
    source._hear(LinkChange("gone", "lo is gone"))
    assert source.poll_events() == []


def test_an_end_is_reported_unsettled_where_nobody_is_left_to_settle_it(source: Diary) -> None:
    source.settled = False
    source._hear(LinkChange("gone", "lo is gone"))
    assert source.poll_events() == []
    source.hurry()
    assert source.poll_events() == [SourceEvent("failed", "lo is gone")]


def test_what_becomes_of_the_link_is_news(source: Diary) -> None:
    source._hear(LinkChange("down", "lo went down"))
    assert source.poll_events() == [SourceEvent("warning", "lo went down")]


def test_closing_goes_backwards_the_rings_first_and_to_the_end(plan: LivePlan) -> None:
    """An interface that is gone, whose program cannot be taken away, keeps nothing else from being given back."""
    source = Diary(plan)
    source.start()
    fd = source.events_fd
    source.close()
    assert source.diary == ["ring 1 closed", "ring 0 closed", "program closed", "memory closed"]
    with pytest.raises(OSError):
        os.fstat(fd)
    source.close()
    assert len(source.diary) == 4


def test_what_was_made_is_given_back_where_the_rest_is_refused(plan: LivePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Diary, "broken", True)
    diaries.clear()
    with pytest.raises(OSError, match="no"):
        Diary(plan)
    assert diaries == [["ring 1 closed", "ring 0 closed", "memory closed"]]


def test_undo_keeps_what_was_handed_over_and_closes_all_else() -> None:
    diary: list[str] = []
    with pytest.raises(OSError, match="no"), Undo() as undo:
        fd = undo.fd(os.eventfd(0))
        undo.closing(Thing(diary, "a"))
        undo.closing(Thing(diary, "b"))
        raise OSError("no")
    assert diary == ["b closed", "a closed"]
    with pytest.raises(OSError):
        os.fstat(fd)
    with Undo() as undo:
        fd = undo.fd(os.eventfd(0))
        kept = undo.pop_all()
    os.fstat(fd)
    kept.close()
    with pytest.raises(OSError):
        os.fstat(fd)
