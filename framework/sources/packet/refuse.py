"""The run's filter in the kernel: frames that do not match are counted there, and cost no place in a ring.

The program only refuses. What it cannot judge as the chain would, it lets pass, and the chain's own filter judges all
that passes: frames with a tag beside them. So every row of the ledger is the same with it and without it.
"""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import suppress
from typing import Final

from zcframe.framework.filters.program import Program
from zcframe.framework.ring import Undo
from zcframe.framework.sources.ebpf.assembler import Assembler
from zcframe.framework.sources.ebpf.bpf import load_socket_filter, make_counters, read_counters
from zcframe.framework.sources.ebpf.translate import (
    CONTEXT,
    FAILS,
    LENGTH,
    PASSES,
    SCRATCH,
    STACK,
    TranslationError,
    translate,
)

from .classic_bpf import OUTGOING

log = logging.getLogger(__name__)

SO_ATTACH_BPF: Final = 50
# struct __sk_buff
SKB_LENGTH, SKB_TYPE, SKB_TAGGED = 0, 4, 20
RESULT, FIRST, MAP_LOOKUP_ELEM = 0, 1, 1
WHOLE: Final = -1
# Counters: frames, bytes on the wire.
WORDS: Final = 2
KEY: Final = -4


def _count(code: Assembler, counters: int) -> None:
    """Add the frame to the counters; where there are none, it passes."""
    code.alu("mov", FIRST, 0)
    code.store(4, STACK, KEY, FIRST)
    code.load_map(FIRST, counters)
    code.alu_register("mov", SCRATCH, STACK)
    code.alu("add", SCRATCH, KEY)
    code.call(MAP_LOOKUP_ELEM)
    code.jump_if("eq", RESULT, 0, PASSES)
    code.alu("mov", FIRST, 1)
    code.add_in_memory(RESULT, 0, FIRST)
    code.add_in_memory(RESULT, 8, LENGTH)


def refusing_program(program: Program, counters: int, *, loopback: bool = False) -> bytes:
    """The instructions. counters: a map of WORDS. loopback: frames that go out come in again, and do not count.

    Raises TranslationError, struct.error.
    """
    code = Assembler()
    code.alu_register("mov", CONTEXT, FIRST)
    code.load(4, LENGTH, CONTEXT, SKB_LENGTH)
    if loopback:
        code.load(4, SCRATCH, CONTEXT, SKB_TYPE)
        code.jump_if("eq", SCRATCH, OUTGOING, "seen")
    code.load(4, SCRATCH, CONTEXT, SKB_TAGGED)
    code.jump_if("ne", SCRATCH, 0, PASSES)
    translate(code, program)
    code.label(FAILS)
    _count(code, counters)
    code.label("seen")
    code.alu("mov", RESULT, 0)
    code.leave()
    code.label(PASSES)
    code.alu("mov", RESULT, WHOLE)
    code.leave()
    return code.assemble()


class Refusal:
    """The filter of one socket, loaded and not attached yet, and its counters. Raises OSError, TranslationError."""

    def __init__(self, program: Program, *, loopback: bool) -> None:
        self._counted: tuple[int, ...] = (0,) * WORDS
        with Undo() as undo:
            self._counters = undo.fd(make_counters(WORDS))
            code = refusing_program(program, self._counters, loopback=loopback)
            self._program = undo.fd(load_socket_filter(code))
            self._undo = undo.pop_all()

    def attach(self, sock: socket.socket) -> bool:
        """In place of the filter that the socket has; whether there was memory for it (net.core.optmem_max)."""
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, self._program)
            return True
        return False

    def read(self) -> tuple[int, int]:
        """Frames that were refused so far, and their bytes on the wire."""
        with suppress(OSError):
            self._counted = read_counters(self._counters, WORDS)
        frames, octets = self._counted
        return frames, octets

    def close(self) -> None:
        self._undo.close()


def refusal_for(program: Program, ifname: str, *, loopback: bool) -> Refusal | None:
    """The filter for a socket; None where the kernel does not take it, so that the chain alone filters."""
    try:
        return Refusal(program, loopback=loopback)
    except (OSError, TranslationError, struct.error) as error:
        log.debug("%s: the kernel does not run --filter %s: %s", ifname, program.expression, error)
        return None
