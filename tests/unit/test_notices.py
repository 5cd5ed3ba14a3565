"""Notices: what is told at once, what is counted and told later, and what is told of cut frames."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.kit.runs import plan, queue_stats, result, snapshot
from zcframe.framework.show import repeats
from zcframe.framework.show.notices import Cuts, Notices
from zcframe.framework.show.repeats import BURST, QUIET_S, Repeats
from zcframe.framework.stats import Event, Events, Observer, Observers, QueueStats, RunSnapshot, SourceInfo

RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"
NEAR = SourceInfo("iface", ("near",), "packet", ("ETHERNET",))
# Some day at noon.
NOON = 1_700_000_000.0


class Log:
    """The lines that come of texts at given seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(repeats, "local", lambda at: f"{at:g}")
        self._repeats, self.number = Repeats(), 0

    def hear(self, text: str, at: float) -> list[str]:
        self.number += 1
        return self._texts(self._repeats.hear(Event(text, at, self.number), at))

    def due(self, at: float) -> list[str]:
        return self._texts(self._repeats.due(at))

    def rest(self) -> list[str]:
        return self._texts(self._repeats.rest())

    def _texts(self, lines: Iterable[tuple[str, float]]) -> list[str]:
        return [f"{at:g} {text}" for text, at in lines]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch)


def test_a_state_that_alternates_is_told_each_time(log: Log) -> None:
    told = [line for at in range(8) for line in log.hear("down" if at % 2 == 0 else "up", at)]
    assert told == ["0 down", "1 up", "2 down", "3 up", "4 down", "5 up", "6 down", "7 up"]
    assert log.rest() == []


def test_the_same_line_again_is_counted_and_told_later(log: Log) -> None:
    assert log.hear("full", 0.0) == ["0 full"]
    assert [log.hear("full", at) for at in (1.0, 2.0, 3.0)] == [[], [], []]
    assert log.due(QUIET_S - 1) == []
    assert log.due(QUIET_S) == ["3 full (3 times since 1)"]
    assert log.due(QUIET_S + 1) == []
    assert log.hear("full", QUIET_S + 2) == []
    assert log.rest() == ["12 full"]


def test_after_a_quiet_time_it_is_news_again(log: Log) -> None:
    log.hear("full", 0.0)
    assert log.due(QUIET_S) == []
    assert log.hear("full", QUIET_S + 1) == [f"{QUIET_S + 1:g} full"]


def test_a_flood_is_bounded_and_its_last_word_is_the_state(log: Log) -> None:
    """A link that flaps a thousand times: some lines, then one each, the last event's at the end."""
    told = [line for n in range(2000) for line in log.hear("down" if n % 2 == 0 else "up", n / 1000)]
    assert len(told) == 2 * BURST
    late = log.due(QUIET_S + 0.5)
    assert late == ["1.998 down (990 times since 0.02)", "1.999 up (990 times since 0.021)"]
    log.hear("up", 20.0)
    log.hear("up", 20.1)
    assert log.hear("down", 20.2) == ["20.1 up (2 times since 20)", "20.2 down"]


def test_texts_that_never_come_again_are_forgotten(log: Log) -> None:
    for number in range(100):
        log.hear(f"worker {number} died", number / 100)
    log.due(QUIET_S * 2)
    assert log._repeats._told == {}


def events_of(*texts: str) -> list[Event]:
    events = Events()
    for text in texts:
        events.append(text)
    return list(events)


def test_each_event_is_told_once_with_its_time_and_what_holds_for_the_run_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    notices, events = Notices(), events_of("near went down", "near is up again", "near went down")
    notices.started(plan(NEAR, warnings=("8 workers share 2 CPUs",)))
    for count in (1, 2, 3, 3):
        notices.tick(snapshot(events=events[:count], warnings=["8 workers share 2 CPUs"]))
    notices.finished(result(events=events))
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "zcframe: warning: 8 workers share 2 CPUs"
    texts = ["near went down", "near is up again", "near went down"]
    assert len(rest) == 3
    for line, text in zip(rest, texts, strict=True):
        assert re.fullmatch(f"{RFC3339} zcframe: warning: {text}", line)


def live(*rows: QueueStats, **more: object) -> RunSnapshot:
    return replace(snapshot(queues=list(rows), plugins={}), source=NEAR, **more)  # type: ignore[arg-type]


def cut(queue: int, truncated: int) -> QueueStats:
    row = queue_stats(queue)
    return replace(row, ifname="near", cut_at=32767, ledger=replace(row.ledger, truncated=truncated))


def test_frames_that_were_cut_are_told_of_while_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    notices = Notices()
    for counts in ((0, 0), (1, 2), (1, 3)):
        notices.tick(live(*(cut(queue, count) for queue, count in enumerate(counts)), at=NOON))
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(
        f"{RFC3339} zcframe: warning: near: frames that were cut so far: 3; plugins see the first 32,767", line
    )
    assert "ethtool -K near gro off" in line


def test_more_cut_frames_are_told_of_a_minute_later() -> None:
    cuts = Cuts()
    assert len(list(cuts.lines([cut(0, 5)], 0.0))) == 1
    assert list(cuts.lines([cut(0, 6)], 59.0)) == []
    assert len(list(cuts.lines([cut(0, 6)], 61.0))) == 1
    assert list(cuts.lines([cut(0, 6)], 200.0)) == []


def test_an_interface_is_announced_once_its_packets_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    notices = Notices(announces=True)
    notices.started(plan(NEAR))
    assert capsys.readouterr().err == ""
    notices.tick(live(queue_stats(0), queue_stats(1), started=NOON))
    notices.tick(live(queue_stats(0), queue_stats(1), started=NOON))
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(f"{RFC3339} zcframe: capturing from near by packet, 2 workers", line)


class Fails(Observer):
    title = "the odd view"

    def __init__(self) -> None:
        self.ticks, self.closed = 0, False

    @property
    def reads_reports(self) -> bool:
        return True

    def tick(self, snapshot: RunSnapshot) -> None:
        self.ticks += 1
        raise ValueError("no such\ncharacter")

    def close(self) -> None:
        self.closed = True
        raise OSError("nor this")


class Counts(Observer):
    ticks = 0

    def tick(self, snapshot: RunSnapshot) -> None:
        self.ticks += 1


def test_what_fails_while_it_watches_is_told_of_once_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    fails, counts = Fails(), Counts()
    observers = Observers([fails, counts])
    assert observers.reads_reports
    for _ in range(3):
        observers.tick(snapshot())
    observers.finished(result())
    observers.close()
    assert (fails.ticks, fails.closed, counts.ticks) == (1, True, 3)
    assert not observers.reads_reports
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["the odd view is off from here on, the capture goes on: ValueError: no such character"]
