"""What readers hand to each other: windows to read, where records begin, the turn at the rings. Compiled."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import acquire_u32, exchange_u32, load_u32, load_u64, release_u64, store_u64
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.sources.soft82576.deliver import COUNTER_BITS
from zcframe.framework.sources.soft82576.queues import Q

from .pool import BEGIN, BEGIN_SIZE, SHARED

WORD: Final = 8
TAKEN: Final = SHARED.taken * WORD
FREED: Final = SHARED.freed * WORD
APPENDED: Final = SHARED.appended * WORD
STOPPED: Final = SHARED.stopped * WORD
ENDED: Final = SHARED.ended * WORD
LAST: Final = SHARED.last * WORD
HALF: Final = 1 << 31

# What `take` returns where there is no window.
NONE_LEFT: Final = -1
NO_ROOM: Final = -2


@inlined
def free(shared, queues, ends):  # type: ignore[no-untyped-def]
    """Free the oldest of the appended windows, as many as every ring has passed; any reader may."""
    while True:
        number = acquire_u32(shared + FREED)
        if number == acquire_u32(shared + APPENDED):
            return
        for queue in range(queues.shape[0]):
            passed = acquire_u32(queues[queue, Q.read]) - ends[number & (ends.shape[0] - 1), queue]  # A, matches D
            if passed & COUNTER_BITS >= HALF:
                return
        exchange_u32(shared + FREED, number, number + 1)  # G, matches H


@inlined
def take(shared, queues, ends):  # type: ignore[no-untyped-def]
    """Take the next window: its number, NONE_LEFT in the job, or NO_ROOM."""
    while True:
        number = acquire_u32(shared + TAKEN)
        if number == load_u32(shared + LAST) or acquire_u32(shared + STOPPED) != 0:
            return NONE_LEFT
        if (number - acquire_u32(shared + FREED)) & COUNTER_BITS >= ends.shape[0]:  # H, matches G
            free(shared, queues, ends)
            if (number - acquire_u32(shared + FREED)) & COUNTER_BITS >= ends.shape[0]:  # H, matches G
                return NO_ROOM
        if exchange_u32(shared + TAKEN, number, number + 1):
            return number


@inlined
def is_known(begins, slots, number):  # type: ignore[no-untyped-def]
    """Whether the reader of the window before has said where window `number` begins. begins: address of the words."""
    word = begins + (number & (slots - 1)) * BEGIN_SIZE + BEGIN.of * WORD
    return acquire_u32(word) == (number + 1) & COUNTER_BITS


@inlined
def begin_of(begins, slots, number):  # type: ignore[no-untyped-def]
    """Offset in the file of a window's first record, once it is known."""
    return load_u64(begins + (number & (slots - 1)) * BEGIN_SIZE + BEGIN.offset * WORD)


@inlined
def pass_on(begins, slots, number, offset):  # type: ignore[no-untyped-def]
    """Tell the reader of window `number` where its first record begins."""
    words = begins + (number & COUNTER_BITS & (slots - 1)) * BEGIN_SIZE
    store_u64(words + BEGIN.offset * WORD, offset)
    release_u64(words + BEGIN.of * WORD, (number + 1) & COUNTER_BITS)


@inlined
def has_turn(shared, number):  # type: ignore[no-untyped-def]
    """Whether every window before this one is in the rings."""
    return acquire_u32(shared + APPENDED) == number  # J, matches I


@inlined
def end_turn(shared, number):  # type: ignore[no-untyped-def]
    """Give the turn to the reader of the next window."""
    release_u64(shared + APPENDED, (number + 1) & COUNTER_BITS)  # I, matches J
