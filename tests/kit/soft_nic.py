"""The software NIC under test: its plan, its process, and a consumer for each of its rings."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.ring import Ring
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.soft82576 import ReplayPlan, Soft82576

# Far above what anything here takes, so that a test which would hang fails instead.
PATIENCE = 60.0


def plan(*files: Path | str, queues: int = 1, slots: int = 64, key: str = "symmetric", **more: Any) -> ReplayPlan:
    rss = RssConfig.make(key, "5-tuple", queues)
    return ReplayPlan(tuple(map(str, files)), rss, queues=queues, ring_slots=slots, **more)


@contextmanager
def running(replay: ReplayPlan) -> Iterator[Soft82576]:
    """A NIC that waits for `go()`."""
    source = Soft82576(replay)
    try:
        source.start()
        yield source
    finally:
        source.close()


def await_events(source: Soft82576) -> list[SourceEvent]:
    """The next events; there must be some."""
    assert select.select([source.events_fd], [], [], PATIENCE)[0], "the NIC says nothing"
    return source.poll_events()


def await_end(source: Soft82576) -> SourceEvent:
    while True:
        for event in await_events(source):
            if event.kind != "warning":
                return event


def await_all(source: Soft82576) -> list[SourceEvent]:
    """All events up to the end."""
    events = await_events(source)
    while not events or events[-1].kind == "warning":
        events += await_events(source)
    return events


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.001)


def descriptors() -> dict[int, str]:
    """What each descriptor of this process is open on."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own, closed by now
            found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
    return found


class Frame:
    """A received frame: its bytes and its descriptor's fields."""

    def __init__(self, descriptor: Any, data: bytes) -> None:
        self.data = data
        for name in abi.DESC.names or ():
            setattr(self, name, int(descriptor[name]))

    timestamp: int
    offset: int
    wire_len: int
    rss_hash: int
    len: int
    status: int
    rss_type: int
    flag_access: int
    port: int
    vlan_tci: int


class Consumer:
    """A worker's end of a ring, in Python."""

    def __init__(self, ring: Ring) -> None:
        self.end = ring.consumer()
        size = self.end.slots * abi.DESC_SIZE
        self._descs = np.frombuffer((ctypes.c_char * size).from_address(self.end.desc_address), abi.DESC)

    def __getitem__(self, name: str) -> int:
        """A field of the ring's header."""
        return int(self.end.header[name][0])

    def take(self) -> list[Frame]:
        """Everything that is published; its slots are free afterwards."""
        read, write = int(self.end.user["read"][0]), self["write"]
        taken = []
        for number in range(read, write):
            descriptor = self._descs[number & (self.end.slots - 1)]
            address = self.end.block_address + int(descriptor["offset"])
            taken.append(Frame(descriptor, ctypes.string_at(address, int(descriptor["len"]))))
        self.end.user["read"] = write
        return taken

    def sleep(self, seconds: float) -> bool:
        """As a worker does: say so, look again, wait; whether it was woken."""
        self.end.user["flags"] = abi.USER_WANT_WAKE
        if self["write"] != int(self.end.user["read"][0]):
            return True
        woken = bool(select.select([self.end.wake_fd], [], [], seconds)[0])
        self.end.user["flags"] = 0
        return woken


def replay(orders: ReplayPlan) -> tuple[list[list[Frame]], SourceEvent, list[Consumer]]:
    """Everything that a NIC brings, by queue."""
    with running(orders) as source:
        consumers = [Consumer(ring) for ring in source.rings]
        taken: list[list[Frame]] = [[] for _ in consumers]
        source.go()
        ends: list[SourceEvent] = []
        while not ends or ends[-1].kind == "warning":
            ends += source.poll_events()
            for queue, consumer in enumerate(consumers):
                taken[queue] += consumer.take()
        for queue, consumer in enumerate(consumers):
            taken[queue] += consumer.take()
        return taken, ends[-1], consumers
