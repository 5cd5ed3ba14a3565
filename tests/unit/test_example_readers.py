"""examples/readers on this machine, where no module is: the Python one over a ring in memory, the C one compiled.

Both read a real ring in the lab (tests/lab/scenarios/s18_examples.py).
"""

from __future__ import annotations

import importlib.util
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.kit.places import ROOT
from zcframe.framework import abi
from zcframe.framework.ring import Ring

READERS = ROOT / "examples" / "readers"
INCLUDE = ROOT / "kernel" / "include" / "uapi"
SLOTS = 64


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ring_reader", READERS / "ring_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = load_example()


class Producer:
    """The other side of the ring: `put` publishes a frame, as the card and its driver do."""

    def __init__(self, ring: Ring) -> None:
        self.end = ring.producer()
        descriptors, _, self._blocks = self.end._mappings
        self._descs = descriptors.view(abi.DESC, abi.PAGE_SIZE, SLOTS)

    def put(self, frame: bytes, rss_hash: int = 0) -> None:
        write = int(self.end.header["write"][0])
        slot = write % SLOTS
        block = self._blocks.view("u1", slot * abi.BLOCK_SIZE, len(frame))
        block[:] = np.frombuffer(frame, np.uint8)
        desc = self._descs[slot : slot + 1]
        desc["offset"], desc["len"], desc["wire_len"] = slot * abi.BLOCK_SIZE, len(frame), len(frame)
        desc["timestamp"], desc["rss_hash"], desc["rss_type"] = write, rss_hash, abi.RSS_TCP_IPV4
        self.end.header["write"] = (write + 1) & 0xFFFFFFFF


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring(0, SLOTS)
    yield made
    made.close()


def reader_of(ring: Ring) -> Any:
    """The example's reader over the mappings that a worker would have."""
    return EXAMPLE.Reader(*(mapping._memory for mapping in ring.consumer()._mappings))


def test_frames_come_in_order_with_their_descriptors(ring: Ring) -> None:
    producer, reader = Producer(ring), reader_of(ring)
    frames = [bytes([n] * (60 + n)) for n in range(10)]
    for n, frame in enumerate(frames):
        producer.put(frame, rss_hash=n << 28)
    found = [(desc, bytes(frame)) for desc, frame in reader.frames(reader.ready())]
    assert [frame for _, frame in found] == frames
    for n, (desc, frame) in enumerate(found):
        assert desc == (n, n * abi.BLOCK_SIZE, len(frame), n << 28, len(frame), 0, 0, 0, abi.RSS_TCP_IPV4, 0, 0)
    assert reader.ready() == 0


@pytest.mark.parametrize("start", [0, 50, 2**32 - 30])
def test_it_goes_on_past_the_end_of_the_ring_and_of_the_counter(ring: Ring, start: int) -> None:
    producer, reader = Producer(ring), reader_of(ring)
    producer.end.header["write"] = start
    reader.user_words[EXAMPLE.READ] = start
    for n in range(3 * SLOTS):
        producer.put(n.to_bytes(4, "big") * 16)
        if n % 7 == 6:
            assert [bytes(frame[:4]) for _, frame in reader.frames(7)] == [
                m.to_bytes(4, "big") for m in range(n - 6, n + 1)
            ]
    assert reader.ready() == 3 * SLOTS % 7


def test_a_frame_is_released_only_when_the_next_one_is_asked_for(ring: Ring) -> None:
    producer, reader = Producer(ring), reader_of(ring)
    producer.put(bytes(60))
    producer.put(bytes(60))
    taken = reader.frames(2)
    next(taken)
    assert int(producer.end.user["read"][0]) == 0
    next(taken)
    assert int(producer.end.user["read"][0]) == 1
    assert list(taken) == []
    assert int(producer.end.user["read"][0]) == 2


def test_a_reader_that_sleeps_says_so(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its flag is up while it waits, and down afterwards; a device that is gone ends it."""
    producer, reader, seen = Producer(ring), reader_of(ring), []

    class Poller:
        def register(self, *_: int) -> None: ...

        def poll(self) -> list[tuple[int, int]]:
            seen.append(int(producer.end.user["flags"][0]))
            return [(0, select.POLLIN if len(seen) == 1 else select.POLLERR | select.POLLHUP)]

    monkeypatch.setattr(select, "poll", Poller)
    assert [reader.sleep(0), reader.sleep(0)] == [True, False]
    assert seen == [abi.USER_WANT_WAKE] * 2
    assert int(producer.end.user["flags"][0]) == 0


def test_another_version_is_refused(ring: Ring) -> None:
    producer = Producer(ring)
    producer.end.header["version"] = abi.VERSION + 1
    with pytest.raises(SystemExit, match=f"a ring of version {abi.VERSION + 1}"):
        EXAMPLE.header_of(producer.end._mappings[0]._memory)


@pytest.mark.needs("gcc")
def test_the_c_reader_compiles_without_a_warning_and_says_what_it_lacks(tmp_path: Path) -> None:
    program = tmp_path / "ring_reader"
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-I", str(INCLUDE))
    subprocess.run(["gcc", *flags, "-o", str(program), str(READERS / "ring_reader.c")], check=True)
    done = subprocess.run([program, "lo", "0", "1"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(("PF_ZEROCOPY is not loaded: ", "cannot take the queue: "))
