"""A worker that fetches frames from a TPACKET_V3 ring is killed between any two instructions: each frame comes once.

The worker is led from store to store (ptrace). Whenever it has changed anything that outlives it, the kernel fills whatever
blocks it has been given back, and a successor goes on from there to the end; then all is put back, and the worker takes
its next store. The kernel is a model of ours (tests/kit/tpacket.py); tests/netns does the same with the real one, by chance.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.tpacket import Bench
from tests.kit.traced import Traced

TOTAL = 260


@contextlib.contextmanager
def bench(taken: int = 30, *, mixed: bool = False) -> Iterator[Bench]:
    """Compiled, all blocks full, the ring full in the middle of a block; of its 64 frames so many are taken."""
    made = Bench(mixed=mixed)
    while made.kernel.put():
        pass
    made.kernel.hand_over()
    assert made.pull() == made.slots
    assert made.take(taken) == list(range(taken))
    try:
        yield made
    finally:
        made.close()


def step_until_change(made: Bench, traced: Traced, changes: int) -> None:
    """On until it has changed what outlives it so many times."""
    before = made.keep()[0]
    while changes and traced.to_store():
        now = made.keep()[0]
        before, changes = now, changes - (now != before)
    assert not changes


def check_each_change(made: Bench) -> int:
    """Step a worker through its pull, and try a successor after each change; returns their number."""
    changes, left = 0, list(range(made.read, TOTAL))
    with Traced.ahead_of(made.pull) as traced:
        before = made.keep()[0]
        while traced.to_store():
            now = made.keep()
            if now[0] != before:
                before, changes = now[0], changes + 1
                assert made.take_all(TOTAL) == left, f"after {changes} changes"
                made.put_back(now)
        assert made.keep()[0] == before, "it stored unseen"
    return changes


@pytest.mark.needs("tracing")
@pytest.mark.parametrize(("taken", "mixed"), [(30, False), (64, False), (30, True)])
def test_killed_after_any_store(taken: int, mixed: bool) -> None:
    """Also where the block in which the ring was full is the first one that must not be given back.

    mixed: where Ethernet headers are written in front of packets that have none.
    """
    with bench(taken, mixed=mixed) as made:
        # Blocks given back, 30 frames or more described with two stores or more each, then published.
        assert check_each_change(made) > 60
        assert made.take_all(TOTAL) == list(range(taken, TOTAL))


@pytest.mark.needs("tracing")
@pytest.mark.parametrize("stores", [1, 2, 3, 4, 30, 66])
def test_successor_killed_after_any_store(stores: int) -> None:
    """The kernel has filled again what the first one gave back, when the second one begins."""
    with bench() as made:
        with Traced.ahead_of(made.pull) as first:
            step_until_change(made, first, stores)
        while made.kernel.number < TOTAL and made.kernel.put():
            pass
        made.kernel.hand_over()
        assert check_each_change(made) > 3
        assert made.take_all(TOTAL) == list(range(30, TOTAL))


Step = tuple[str, int]
STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 100)),
    st.tuples(st.just("hand over"), st.just(0)),
    st.tuples(st.just("pull"), st.just(0)),
    st.tuples(st.just("take"), st.integers(1, 70)),
)


@given(steps=st.lists(STEPS, max_size=60), mixed=st.booleans())
@settings(deadline=None)
def test_in_any_order(steps: list[Step], mixed: bool) -> None:
    """Kernel, puller and chain take turns as they like: frames come in order, whole, once."""
    made, found = Bench(mixed=mixed), []
    for what, count in steps:
        if what == "put":
            for _ in range(count):
                made.kernel.put()
        elif what == "hand over":
            made.kernel.hand_over()
        elif what == "pull":
            made.pull()
        else:
            found += made.take(count)
    total = made.kernel.number + 100
    found += made.take_all(total)
    made.close()
    assert found == list(range(total))
