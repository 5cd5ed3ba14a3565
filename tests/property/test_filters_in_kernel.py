"""Verdicts of the program that a packet socket gets: the kernel runs it (BPF_PROG_TEST_RUN), libpcap's interpreter is right.

Every expression on every frame, whole, cut and damaged; and what the program counts.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator, Sequence

import pytest

from tests.kit.bpf import Interpreter
from tests.kit.bpf_run import retval
from tests.kit.edge import at_the_edge
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Instruction, Program
from zcframe.framework.sources.ebpf import bpf
from zcframe.framework.sources.ebpf.translate import TranslationError
from zcframe.framework.sources.packet.refuse import WORDS, refusing_program

from .test_filters import EXPRESSIONS, all_frames, any_program, damaged

pytestmark = pytest.mark.needs("libpcap", "root")

# A classifier is handed the frame from its first byte on; a socket filter would be tested without the Ethernet header.
TYPE_CLASSIFIER = 3
# It is not run on frames that say they are IP and have no whole header.
SHORTEST = {b"\x08\x00": 14 + 20, b"\x86\xdd": 14 + 40}
ETHERNET = 14


# BPF_PROG_TEST_RUN takes frames of less than a page.
LONGEST = 3072


class Loaded:
    """Programs in the kernel, by number, with one pair of counters; those that it refuses are missing."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.counters = bpf.make_counters(WORDS)
        self.fds: dict[int, int] = {}
        for number, program in enumerate(programs):
            try:
                code = refusing_program(program, self.counters)
                self.fds[number] = bpf._load(code, bpf._Kind(TYPE_CLASSIFIER), None)
            except (OSError, TranslationError, struct.error):
                continue

    def passes(self, number: int, frame: bytes) -> bool:
        found = retval(self.fds[number], frame)
        assert found in (0, 0xFFFFFFFF)
        return found != 0

    def close(self) -> None:
        for fd in (self.counters, *self.fds.values()):
            os.close(fd)


def frames_of(seed: int, damages: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for frame in all_frames():
        for one in (frame, frame[: chance.randrange(len(frame))], *(damaged(frame, chance) for _ in range(damages))):
            if len(one) >= SHORTEST.get(one[12:14], ETHERNET):
                yield one


def test_every_verdict_is_that_of_libpcap_and_each_refusal_counts() -> None:
    loaded = Loaded([compile_expression(expression, "test") for expression in EXPRESSIONS])
    theirs = [Interpreter(expression) for expression in EXPRESSIONS]
    # The kernel does not see that a loop ends, or that code can be left out: then the chain filters alone.
    missing = [expression for number, expression in enumerate(EXPRESSIONS) if number not in loaded.fds]
    assert all("protochain" in expression or expression in NO_FRAMES for expression in missing), missing
    frames = octets = 0
    for frame in (one[:LONGEST] for one in frames_of(17, 2)):
        address = at_the_edge(frame)
        for number in loaded.fds:
            matches = theirs[number].verdict(address, len(frame), len(frame)) != 0
            assert loaded.passes(number, frame) == matches, (EXPRESSIONS[number], frame.hex())
            frames, octets = frames + (not matches), octets + (0 if matches else len(frame))
    assert bpf.read_counters(loaded.counters, WORDS) == (frames, octets)
    loaded.close()


NO_FRAMES = ("", "ether[0x7fffffff] = 0")


def test_any_program_that_the_kernel_takes_gives_what_the_interpreter_gives() -> None:
    chance = random.Random(6)
    programs = [any_program(chance) for _ in range(400)]
    loaded = Loaded([Program("", tuple(Instruction(*one) for one in program)) for program in programs])
    assert len(loaded.fds) > 40
    theirs = [Interpreter(program) for program in programs]
    seen = set()
    for frame in [one[:LONGEST] for one in frames_of(3, 0)][::8]:
        address = at_the_edge(frame)
        for number in loaded.fds:
            matches = theirs[number].verdict(address, len(frame), len(frame)) != 0
            assert loaded.passes(number, frame) == matches, (programs[number], frame.hex())
            seen.add((number, matches))
    assert len(seen) > len(loaded.fds)
    loaded.close()


def test_a_shift_by_what_x_holds_is_0_from_32_on() -> None:
    left, right = ((0x00, 0, 0, 1), 0x6C), ((0x00, 0, 0, 1 << 31), 0x7C)
    programs = [
        [start, (0x01, 0, 0, bits), (shift, 0, 0, 0), (0x16, 0, 0, 0)]
        for start, shift in (left, right)
        for bits in (0, 1, 31, 32, 33, 63, 64, 0xFFFFFFFF)
    ]
    loaded = Loaded([Program("", tuple(Instruction(*one) for one in program)) for program in programs])
    frame = bytes(60)
    theirs = [Interpreter(program).verdict(at_the_edge(frame), 60, 60) != 0 for program in programs]
    assert [loaded.passes(number, frame) for number in range(len(programs))] == theirs
    assert 0 < sum(theirs) < len(theirs)
    loaded.close()
