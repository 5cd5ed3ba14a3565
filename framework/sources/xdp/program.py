"""The program that the driver runs for each frame: it chooses the worker, whose socket the kernel then serves.

A frame of a queue that nobody serves, or of a worker whose place in the map is empty, goes on to the stack.

Where the driver can report them, the card's findings about the frame are written in front of it first: metadata.py.
(Documentation/networking/xdp-rx-metadata.rst)
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Final

from zcframe.framework.sources.ebpf.assembler import Assembler

from .metadata import AT_FLAGS, AT_TIME, CLOCK, MAGIC, PLACES, RECORD_SIZE
from .share import Share

XDP_PASS: Final = 2
REDIRECT_MAP: Final = 51
ADJUST_META: Final = 54
# Linux 6.1. Of the clocks that a program of XDP may ask, this one runs with the time of day.
KTIME_TAI: Final = 208
# An error number of the kernel's own: this driver keeps no metadata.
ENOTSUPP: Final = 524

# struct xdp_md
MD_DATA, MD_DATA_END, MD_DATA_META, MD_QUEUE = 0, 4, 8, 16

ETHERNET: Final = 14
TAG: Final = 4
# A provider's tag and a customer's.
TAGS: Final = 2
TAGGED: Final = (0x8100, 0x88A8)
IPV4, IPV4_SIZE, IPV4_ADDRESSES = 0x0800, 20, (12, 16)
IPV6, IPV6_SIZE, IPV6_ADDRESSES = 0x86DD, 40, tuple(range(8, 40, 4))

# 2^32 / golden ratio, as a signed number: the product carries every bit of the addresses into the highest bits.
SPREADING: Final = 0x9E3779B1 - (1 << 32)

CONTEXT, RESULT = 1, 0
DATA, END, HEADER, WORD, SLOT, HASH = 2, 3, 4, 5, 6, 7
# Registers in use while the driver is asked: its functions leave these alone.
TOLD, RECORD, KEPT = 7, 8, 9


def _make_room(code: Assembler) -> None:
    """RECORD = the bytes in front of the frame; goes to "plain" where this driver keeps none, never having had any."""
    code.alu_register("mov", KEPT, CONTEXT)
    code.alu("mov", 2, -RECORD_SIZE)
    code.call(ADJUST_META)
    code.jump_if("eq", RESULT, -ENOTSUPP, "plain")
    # The record of an earlier frame in this chunk must not be taken for this frame's.
    code.jump_if("ne32", RESULT, 0, "pass")
    code.load(4, RECORD, KEPT, MD_DATA_META)
    code.load(4, DATA, KEPT, MD_DATA)
    code.alu_register("mov", WORD, RECORD)
    code.alu("add", WORD, RECORD_SIZE)
    code.jump_if_register("gt", WORD, DATA, "pass")


def _write_clock(code: Assembler) -> None:
    """The time of day, which is that of TAI less whole seconds; the driver's own time takes its place."""
    code.call(KTIME_TAI)
    code.alu("mov", WORD, round(time.time() - time.clock_gettime(time.CLOCK_TAI)))
    code.alu("mul", WORD, 1_000_000_000)
    code.alu_register("add", RESULT, WORD)
    code.store(8, RECORD, AT_TIME, RESULT)
    code.alu("add", TOLD, CLOCK)


def _write_record(code: Assembler, functions: Mapping[int, int], *, clock: bool) -> None:
    """Have the driver write its findings about the frame in front of it; clock: and what time it is."""
    _make_room(code)
    code.alu("mov", TOLD, MAGIC)
    if clock:
        _write_clock(code)
    for what, function in functions.items():
        code.alu_register("mov", CONTEXT, KEPT)
        for argument, place in enumerate(PLACES[what], CONTEXT + 1):
            code.alu_register("mov", argument, RECORD)
            code.alu("add", argument, place)
        code.call_kernel(function)
        code.jump_if("ne32", RESULT, 0, f"untold{what}")
        code.alu("add", TOLD, what)
        code.label(f"untold{what}")
    code.store(4, RECORD, AT_FLAGS, TOLD)
    code.label("plain")
    code.alu_register("mov", CONTEXT, KEPT)


def _skip_tags(code: Assembler) -> None:
    """HEADER is behind the Ethernet header, WORD the EtherType: bring both behind the tags."""
    for number in range(TAGS):
        for tag in TAGGED:
            code.jump_if("eq", WORD, socket.htons(tag), f"tag{number}")
        code.jump("tags_done")
        code.label(f"tag{number}")
        code.alu("add", HEADER, TAG)
        code.jump_if_register("gt", HEADER, END, "hashed")
        code.load(2, WORD, HEADER, -2)
    code.label("tags_done")


def _fold_addresses(code: Assembler, size: int, words: tuple[int, ...]) -> None:
    """HASH = xor of the words of both addresses: the same in both directions."""
    code.alu_register("mov", WORD, HEADER)
    code.alu("add", WORD, size)
    code.jump_if_register("gt", WORD, END, "hashed")
    for offset in words:
        code.load(4, WORD, HEADER, offset)
        code.alu_register("xor", HASH, WORD)


def _hash(code: Assembler) -> None:
    """HASH, 32 bits, of both IP addresses; 0 for every other frame."""
    code.load(4, DATA, CONTEXT, MD_DATA)
    code.load(4, END, CONTEXT, MD_DATA_END)
    code.alu_register("mov", HEADER, DATA)
    code.alu("add", HEADER, ETHERNET)
    code.jump_if_register("gt", HEADER, END, "hashed")
    code.load(2, WORD, DATA, ETHERNET - 2)
    _skip_tags(code)
    code.jump_if("eq", WORD, socket.htons(IPV4), "ipv4")
    code.jump_if("eq", WORD, socket.htons(IPV6), "ipv6")
    code.jump("hashed")
    code.label("ipv4")
    _fold_addresses(code, IPV4_SIZE, IPV4_ADDRESSES)
    code.jump("mix")
    code.label("ipv6")
    _fold_addresses(code, IPV6_SIZE, IPV6_ADDRESSES)
    code.label("mix")
    code.multiply32(HASH, SPREADING)
    code.label("hashed")


def choose_slot(code: Assembler, share: Share) -> None:
    """SLOT = number of the worker; goes to the label "pass" where nobody serves the queue."""
    code.load(4, SLOT, CONTEXT, MD_QUEUE)
    code.jump_if("ge", SLOT, share.queues, "pass")
    if not share.shared:
        return
    code.alu("mov", HASH, 0)
    _hash(code)
    # As Share.workers_of has it: the first queues may have one worker more.
    code.alu("mov", WORD, share.workers // share.queues)
    code.jump_if("ge", SLOT, share.workers % share.queues, "counted")
    code.alu("add", WORD, 1)
    code.label("counted")
    # A 32-bit hash, times the number of workers, by 2^32: the highest bits decide.
    code.alu_register("mul", HASH, WORD)
    code.alu("rsh", HASH, 32)
    code.alu("mul", HASH, share.queues)
    code.alu_register("add", SLOT, HASH)


def redirect_program(
    share: Share, map_fd: int, functions: Mapping[int, int] | None = None, *, clock: bool = False
) -> bytes:
    """The program's instructions. map_fd: an XSKMAP of `share.workers` entries, each worker's socket.

    functions: ids in BTF of the kernel's functions, by what the driver is asked for (TIME, HASH, VLAN).
    clock: whether each frame gets the time at which the program sees it.
    """
    code = Assembler()
    if functions or clock:
        _write_record(code, functions or {}, clock=clock)
    choose_slot(code, share)
    code.load_map(1, map_fd)
    code.alu_register("mov", 2, SLOT)
    code.alu("mov", 3, XDP_PASS)
    code.call(REDIRECT_MAP)
    code.leave()
    code.label("pass")
    code.alu("mov", RESULT, XDP_PASS)
    code.leave()
    return code.assemble()
