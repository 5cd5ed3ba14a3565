"""How a chain that fetches its frames itself sleeps where there are none: Python is not asked while packets come.

Where frames came soon after the last sleep, more will come during a nap, and a nap costs less than to be woken for each
few of them. Else it sleeps until frames come, or an order, for which the chain returns.

    polled   struct pollfd of the worker's eventfd, of the source
"""

from __future__ import annotations

import struct
from typing import Final

from zcframe.framework.jit.address import load_u16, load_u64, store_u64
from zcframe.framework.jit.calls import monotonic_ns, poll, sleep_us
from zcframe.framework.jit.compiler import kept_outlined
from zcframe.framework.jit.waiting import CLOCK

from .workspace import CTX, POLLED, SLEPT_AT, WAITING

POLL_FD: Final = struct.Struct("ihh")
POLL_FD_SIZE: Final = POLL_FD.size
POLLIN: Final = 1
REVENTS: Final = 6
LONGEST_MS: Final = 200
# Frames are expected again within so many naps.
SOON: Final = 2


def polled(wake_fd: int, source_fd: int) -> bytes:
    """What stands at POLLED."""
    return POLL_FD.pack(wake_fd, POLLIN, 0) + POLL_FD.pack(source_fd, POLLIN, 0)


@kept_outlined
def sleep(ctx, found):  # type: ignore[no-untyped-def]
    """Sleep at an empty ring; False where the chain is to return. found: packets since it slept last."""
    progress = ctx[CTX.progress]
    now = monotonic_ns(progress + WAITING + CLOCK)
    before = load_u64(progress + SLEPT_AT)
    store_u64(progress + SLEPT_AT, now)
    if found >= ctx[CTX.naps_from] and now - before < SOON * 1000 * ctx[CTX.nap]:
        sleep_us(ctx[CTX.nap])
        return True
    fds = progress + POLLED
    woken = poll(fds, 2, LONGEST_MS) > 0
    # Orders, and what happened to the device, are Python's.
    return woken and load_u16(fds + REVENTS) == 0 and load_u16(fds + POLL_FD_SIZE + REVENTS) == POLLIN
