"""A lost wake-up is told from processors that run, wait for their turn, serve an interrupt or have none pending."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from . import limit, wakeup

REGISTERS = """
CPU#{cpu}
RAX=0000000000000000 RBX=0000000000000000
RIP=ffffffff81000000 RFL={flags:08x} [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT={halted}
"""
APIC = """
LVTT	 0x000200ec active-hi edge                 periodic     Fixed  (vec 236)
ISR	 {served}
IRR	 {waiting}

APR 0x00 TPR 0x10 DFR 0x0f LDR 0x00 PPR 0x10
"""


class FakeGuest:
    """Two processors, of which the second is of interest."""

    def __init__(
        self, thread: int, *, flags: int = 0x246, halted: int = 1, served: str = "(none)", waiting: str = "236"
    ):
        self._thread = thread
        self._registers = REGISTERS.format(cpu=0, flags=0x246, halted=0)
        self._registers += REGISTERS.format(cpu=1, flags=flags, halted=halted)
        self._apic = APIC.format(served=served, waiting=waiting)

    def ask(self, execute: str) -> list[dict[str, int]]:
        return [{"cpu-index": 0, "thread-id": os.getpid()}, {"cpu-index": 1, "thread-id": self._thread}]

    def monitor(self, command: str) -> str:
        return self._registers if command == "info registers -a" else self._apic


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeup, "SECONDS", 0.0)


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        while wakeup._state(process.pid) != "S":
            pass
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_asleep_with_an_interrupt_pending(sleeper: int) -> None:
    assert wakeup.lost_wakeups(FakeGuest(sleeper)) == {1}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [{"flags": 0x46}, {"halted": 0}, {"served": "236 "}, {"waiting": "(none)"}, {"waiting": "18 "}],
    ids=["interrupts off", "running", "in service", "nothing pending", "of no higher priority"],
)
def test_no_wakeup_is_lost(sleeper: int, other: dict[str, int | str]) -> None:
    assert wakeup.lost_wakeups(FakeGuest(sleeper, **other)) == set()  # type: ignore[arg-type]


def test_a_thread_that_waits_for_its_turn_does_not_sleep() -> None:
    assert wakeup.lost_wakeups(FakeGuest(os.getpid())) == set()  # type: ignore[arg-type]


def test_a_limit_ends_and_a_delay_by_the_host_comes_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    held_up = 0.0
    monkeypatch.setattr(limit, "delay", lambda pid: held_up)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    now = 1000.0
    patience = limit.Limit(os.getpid(), 10.0)
    now += 9.0
    assert not patience.over()
    now += 2.0
    assert patience.over()
    held_up = 5.0
    assert patience.left() == pytest.approx(4.0)
    held_up, now = 100.0, 1041.0
    assert patience.over()
