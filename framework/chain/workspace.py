"""The worker's own memory: how far it is, its journal and its ledger. It outlives the worker.

    page 0   done u64 | stage u32 | packet u32 | parked u32 | generation u64 | ready u64
             careful u64[2] | given up u64[2] | words of waiting |
             slept at u64 | polled u64[2]
    ledger   two copies, used in turn: generation g stands in copy g & 1
             copy: upto u64 | wire bytes u64 | one u64 per verdict code
    scratch  what the first pass over a burst found out about its packets (note.py) | verdict counts of the burst
    faults   why packets faulted, see fault.py
    journal  see state/journal.py

The store of `generation` commits a burst. `done` follows it; its low 32 bits are the ring's `read`.
Verdict codes with P plugins: 0 accepted, 1..P dropped by plugin code - 1, P+1..2P faulted in plugin code - P - 1, and
where the run has a filter 2P+1: did not match.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import numbered
from zcframe.framework.state.journal import JOURNAL_SIZE, MAX_PLUGINS

BURST = 64
# Where so many packets came while the worker slept, more will come while it naps: see RingEnd.nap_s.
BUSY = 64
# Frames are fetched into the cache so many packets ahead.
AHEAD = 16
MAX_CODES = 2 * MAX_PLUGINS + 2

DONE = 0
# Plugin that the worker is in, from 1; with this bit it looks ahead.
STAGE = 64
LOOKING_AHEAD = 1 << 16
# Number in its burst of the packet that the worker is at.
PACKET = 68
PARKED = 128
GENERATION = 192
# When the worker could take its first packet: CLOCK_MONOTONIC, ns.
READY = 256
# Packets from the first number to below the second are transactions of their own.
CAREFUL = 320
CAREFUL_END = 328
# A packet, and the plugin from 1 that is not asked about it any more: its worker died of it.
GIVEN_UP = 336
GIVEN_UP_BY = 344
# Address of what numba keeps of the last exception that a plugin raised; 0: its worker was killed there.
RAISED_AT = 352
# Words of jit.waiting.Waiting.
WAITING = 384
# See sleep.py.
SLEPT_AT = 448
POLLED = 456

LEDGER = abi.PAGE_SIZE
LEDGER_COPY = 1024
LEDGER_UPTO = 0
LEDGER_BYTES = 8
LEDGER_CODES = 16

# Bytes that a packet may have in the scratch area, at most.
MAX_NOTE = 1024
SCRATCH = LEDGER + 2 * LEDGER_COPY
SCRATCH_COUNTS = SCRATCH + BURST * MAX_NOTE
# Entries of fault.py.
FAULTS = SCRATCH_COUNTS + 1024
FAULT_ENTRIES, FAULT_ENTRY = 16, 512
JOURNAL = FAULTS + FAULT_ENTRIES * FAULT_ENTRY
PROGRESS_SIZE = -(-(JOURNAL + JOURNAL_SIZE) // abi.PAGE_SIZE) * abi.PAGE_SIZE


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
    nap: int  # microseconds that the chain sleeps at an empty ring, where it has found BUSY packets since it did last
    patience: int  # nanoseconds that it lets other processes of its CPU run before that
    ahead: int  # so many packets ahead frames are prefetched, a number
    naps_from: int  # packets since it slept last, for a chain with `pull` to nap
    pull: int  # of the function that brings frames into the ring where no other process does, or 0
    pull_words: int  # where in these words those of that function begin, a number
    due: int  # when shards are ticked, see ticks/due.py, or 0
    leave_at: int  # the chain returns at a packet of this time, in ns: ticks by the clock are due
    states: int  # of the first plugin; those of the others follow


CTX = numbered(ChainContext)
