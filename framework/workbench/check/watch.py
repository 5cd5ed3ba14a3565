"""A plugin that does not return: told by a thread, since nothing interrupts compiled code in the process itself."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from zcframe.framework.supervisor.change.rig import Rig

# As in a run: so much time of a CPU without a packet that is done.
STUCK_S: Final = 2.0
LOOK_S: Final = 0.2
FAILED: Final = 1


def _end(rig: Rig) -> None:
    """End the process, with one line for what it hangs in."""
    post = next((post for post in rig.posts if post.stage), rig.posts[0])
    name = rig.chain.plugins[0].name
    text = f"plugin {name} does not return from packet {post.packet + 1} of queue {post.number}: give its loops a bound"
    print(f"zcframe: {text}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(FAILED)


def _watch(rig: Rig, clock: int, over: threading.Event) -> None:
    """clock: of the CPU time of the thread that is watched."""
    done, since = [0], time.clock_gettime(clock)
    while not over.wait(LOOK_S):
        now, at = time.clock_gettime(clock), [post.packet for post in rig.posts]
        if at != done:
            done, since = at, now
        elif now - since > STUCK_S and any(post.stage for post in rig.posts):
            _end(rig)


@contextmanager
def watched(rig: Rig) -> Iterator[None]:
    """While the block runs, end the process where a plugin of the rig keeps this thread busy with one packet."""
    over = threading.Event()
    clock = time.pthread_getcpuclockid(threading.get_ident())
    thread = threading.Thread(target=_watch, args=(rig, clock, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
