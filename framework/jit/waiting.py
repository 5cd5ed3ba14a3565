"""How compiled code waits for another process of ours: it lets others run, and sleeps where that does not help.

Whoever is awaited often is on the same CPU and needs some microseconds. To sleep and be woken takes longer, longer
still on a virtual CPU that has nothing else to do. But where a process that is not ours competes for the CPU, it gets
all of its slice from one that yields: then sleeping is the better way for a while.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .address import load_u64, store_u64
from .calls import monotonic_ns, sleep_us, yield_cpu
from .compiler import inlined, kept
from .words import numbered


class Waiting(NamedTuple):
    """Words of one waiter, wherever they lie."""

    wary: int  # waits in which it will not yield
    yielded: int  # in a row, since what it waited for came last
    slept: int  # likewise
    doubt: int  # rises with every long yield, falls with every short one
    clock: int  # with the word behind it
    clock_2: int


WORD: Final = 8
WAIT: Final = numbered(Waiting)
WAITING_WORDS: Final = len(Waiting._fields)
WARY: Final = WAIT.wary * WORD
YIELDED: Final = WAIT.yielded * WORD
SLEPT: Final = WAIT.slept * WORD
DOUBT: Final = WAIT.doubt * WORD
CLOCK: Final = WAIT.clock * WORD

WARY_WAITS: Final = 1000
# The third one is too much, with fewer than a hundred short ones between them.
A_LONG_ONE: Final = 100
ENOUGH: Final = 100 + 1
LONGEST_US: Final = 200


@inlined
def let_run(waiting, patience):  # type: ignore[no-untyped-def]
    """Yield, and be wary where that took too long."""
    before, doubt = monotonic_ns(waiting + CLOCK), load_u64(waiting + DOUBT)
    yield_cpu()
    if monotonic_ns(waiting + CLOCK) - before <= patience:
        store_u64(waiting + DOUBT, max(0, doubt - 1))
    elif doubt < ENOUGH:
        store_u64(waiting + DOUBT, doubt + A_LONG_ONE)
    else:
        store_u64(waiting + DOUBT, 0)
        store_u64(waiting + WARY, WARY_WAITS)


@kept
def wait(waiting, yields, patience, nap):  # type: ignore[no-untyped-def]
    """Wait once; returns whether it slept. waiting: address of the words of Waiting.

    yields: so often in a row it lets others run, at most. patience: nanoseconds that one of them may take; 0: it lets
    none run. nap: microseconds of the first sleep; later ones are longer.
    """
    wary, yielded = load_u64(waiting + WARY), load_u64(waiting + YIELDED)
    if patience != 0 and wary == 0 and yielded < yields:
        store_u64(waiting + YIELDED, yielded + 1)
        let_run(waiting, patience)
        return False
    store_u64(waiting + WARY, max(0, wary - 1))
    slept = load_u64(waiting + SLEPT) + 1
    store_u64(waiting + SLEPT, slept)
    sleep_us(min(LONGEST_US, nap * slept))
    return True


@inlined
def waited(waiting):  # type: ignore[no-untyped-def]
    """Note that what was awaited came."""
    store_u64(waiting + YIELDED, 0)
    store_u64(waiting + SLEPT, 0)
