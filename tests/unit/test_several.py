"""Several interfaces as one source: rings side by side, news passed on, one end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.several import Several


@dataclass
class Part:
    """A source that says what the test has it say."""

    name: str
    calls: list[str]
    backend: str = "packet"
    kind: str = "iface"
    link_types: tuple[str, ...] = ("ETHERNET",)
    promiscuous: bool = False
    pid: None = None
    events: list[SourceEvent] = field(default_factory=list)
    broken: bool = False

    def __post_init__(self) -> None:
        self.names = (self.name,)
        self.rings: list[Any] = [f"{self.name}/0", f"{self.name}/1"]
        self.events_fd = os.eventfd(0)

    def _call(self, what: str) -> None:
        self.calls.append(f"{self.name} {what}")
        if self.broken and what == "start":
            raise OSError("no")

    def start(self) -> None:
        self._call("start")

    def ready(self) -> None:
        self._call("ready")

    def go(self) -> None:
        self._call("go")

    def stop(self) -> None:
        self._call("stop")

    def hurry(self) -> None:
        self._call("hurry")

    def close(self) -> None:
        self._call("close")
        os.close(self.events_fd)

    def progress(self) -> tuple[int, int]:
        return 0, 0

    def poll_events(self) -> list[SourceEvent]:
        told, self.events = self.events, []
        return told


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def parts(calls: list[str]) -> list[Part]:
    return [Part("in0", calls), Part("out0", calls, backend="xdp")]


@pytest.fixture
def several(parts: list[Part]) -> Iterator[Several]:
    made = Several(parts)
    yield made
    made.close()


def test_it_is_the_sum_of_its_parts(several: Several) -> None:
    assert several.names == ("in0", "out0")
    assert several.backend == "packet+xdp"
    assert not several.promiscuous
    assert several.rings == ["in0/0", "in0/1", "out0/0", "out0/1"]
    assert several.progress() == (0, 0)


def test_orders_go_to_all_and_closing_goes_backwards(parts: list[Part], calls: list[str]) -> None:
    several = Several(parts)
    several.start()
    several.ready()
    several.go()
    several.stop()
    several.close()
    words = ("start", "ready", "go", "stop")
    assert calls == [*(f"{name} {word}" for word in words for name in ("in0", "out0")), "out0 close", "in0 close"]


def test_a_part_that_does_not_start_is_no_run(parts: list[Part], calls: list[str]) -> None:
    parts[1].broken = True
    several = Several(parts)
    with pytest.raises(OSError, match="no"):
        several.start()
    several.close()
    assert calls[-2:] == ["out0 close", "in0 close"]


def test_an_event_wakes_whoever_polls(several: Several, parts: list[Part]) -> None:
    import select

    several.start()
    poller = select.poll()
    poller.register(several.events_fd, select.POLLIN)
    assert poller.poll(0) == []
    os.eventfd_write(parts[1].events_fd, 1)
    assert poller.poll(0)


def test_the_end_is_told_once_when_the_last_part_has_ended(several: Several, parts: list[Part]) -> None:
    several.start()
    parts[0].events = [SourceEvent("warning", "in0 went down"), SourceEvent("finished", "in0 stopped")]
    assert several.poll_events() == [SourceEvent("warning", "in0 went down")]
    parts[1].events = [SourceEvent("finished", "out0 stopped")]
    assert several.poll_events() == [SourceEvent("finished", "out0 stopped")]


def test_one_that_fails_degrades_the_source_and_is_no_longer_ordered(
    several: Several, parts: list[Part], calls: list[str]
) -> None:
    """The others go on, to their own end."""
    several.start()
    parts[0].events = [SourceEvent("failed", "in0 is gone")]
    assert several.poll_events() == [SourceEvent("degraded", "in0 is gone; the others go on")]
    several.stop()
    several.hurry()
    assert [call for call in calls if call.endswith(("stop", "hurry"))] == ["out0 stop", "out0 hurry"]
    parts[1].events = [SourceEvent("finished", "out0 stopped")]
    assert several.poll_events() == [SourceEvent("finished", "out0 stopped")]


def test_where_the_last_one_fails_the_source_has_failed(several: Several, parts: list[Part]) -> None:
    several.start()
    for part in parts:
        part.events = [SourceEvent("failed", f"{part.name} is gone")]
    assert several.poll_events() == [
        SourceEvent("degraded", "in0 is gone; the others go on"),
        SourceEvent("failed", "out0 is gone"),
    ]
