"""The worker's own memory: how far it is, its journal, its verdicts and its ledger. It outlives the worker.

    page 0   done u64 | stage u32 | parked u32 | generation u64 | ready u64
    ledger   two copies, used in turn: generation g stands in copy g & 1
             copy: upto u64 | wire bytes u64 | one u64 per verdict code
    scratch  decoded burst | verdict counts of the burst
    journal  see state/journal.py
    verdicts one byte a slot, for the packets between the ledger's `upto` and `done`

`done` counts packets whose transaction is complete. The low 32 bits of it are the ring's `read`.
Verdict codes with P plugins: 0 accepted, 1..P dropped by plugin code - 1, P+1..2P faulted in plugin code - P - 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import numbered
from zcframe.framework.state.journal import JOURNAL_SIZE

BURST = 64
MAX_PLUGINS = 32
MAX_CODES = 2 * MAX_PLUGINS + 1

DONE = 0
STAGE = 64
# In place of the stage's journal mark: the plugin is in its prefetch, on no packet in particular.
PREFETCHING = 0xFFFF
PARKED = 128
GENERATION = 192
# When the worker could take its first packet: CLOCK_MONOTONIC, ns.
READY = 256

LEDGER = abi.PAGE_SIZE
LEDGER_COPY = 1024
LEDGER_UPTO = 0
LEDGER_BYTES = 8
LEDGER_CODES = 16

SCRATCH = LEDGER + 2 * LEDGER_COPY
SCRATCH_COUNTS = SCRATCH + BURST * 16
JOURNAL = SCRATCH_COUNTS + abi.PAGE_SIZE - (BURST * 16) % abi.PAGE_SIZE
VERDICTS = -(-(JOURNAL + JOURNAL_SIZE) // abi.PAGE_SIZE) * abi.PAGE_SIZE


def progress_size(slots: int) -> int:
    """Bytes of this memory for a ring of `slots`."""
    return VERDICTS + -(-slots // abi.PAGE_SIZE) * abi.PAGE_SIZE


# The supervisor's orders to a worker: a page that the worker can only read.
ORDERS = np.dtype([("attention", "u4"), ("stop", "u4"), ("pause", "u4")])
ORDER_ATTENTION = abi.offset_of(ORDERS, "attention")

STOP_NONE = 0
STOP_DRAIN = 1
STOP_NOW = 2


class ChainContext(NamedTuple):
    """The words that a chain is called with: addresses, where nothing else is said."""

    header: int
    descriptors: int
    blocks: int
    user: int
    mask: int  # slots - 1, a number
    progress: int
    orders: int
    state_low: int
    state_high: int
    no_ip: int  # counts, see no_ip.py
    states: int  # of the first plugin; those of the others follow


CTX = numbered(ChainContext)
