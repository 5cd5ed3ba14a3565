"""The XDP program, run by the kernel on frames that it is handed (BPF_PROG_TEST_RUN), without an interface."""

from __future__ import annotations

import os
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator

import dpkt
import pytest

from tests.kit.bpf_run import retval
from zcframe.framework.sources.ebpf.assembler import Assembler
from zcframe.framework.sources.ebpf.bpf import load_program, make_xskmap
from zcframe.framework.sources.xdp.program import RESULT, SLOT, XDP_PASS, choose_slot, redirect_program
from zcframe.framework.sources.xdp.share import Share

NOBODY = 99

Run = Callable[[bytes], int]


@pytest.fixture
def slot_of() -> Iterator[Callable[[Share], Run]]:
    """Load a program that tells the worker it chose."""
    fds: list[int] = []

    def load(share: Share) -> Run:
        code = Assembler()
        choose_slot(code, share)
        code.alu_register("mov", RESULT, SLOT)
        code.leave()
        code.label("pass")
        code.alu("mov", RESULT, NOBODY)
        code.leave()
        fds.append(load_program(code.assemble()))
        return lambda frame: retval(fds[-1], frame)

    yield load
    for fd in fds:
        os.close(fd)


def frame_of(src: bytes, dst: bytes, tags: tuple[int, ...] = (), payload: bytes = b"") -> bytes:
    version = 4 if len(src) == 4 else 6
    udp = bytes(dpkt.udp.UDP(sport=random.randrange(1, 65536), dport=53, data=payload))
    if version == 4:
        packet, ethertype = bytes(dpkt.ip.IP(src=src, dst=dst, p=17, data=udp, len=20 + len(udp))), 0x0800
    else:
        packet, ethertype = bytes(dpkt.ip6.IP6(src=src, dst=dst, nxt=17, hlim=9, plen=len(udp), data=udp)), 0x86DD
    types = b"".join(struct.pack("!HH", tag, 7) for tag in tags)
    return bytes(12) + types + struct.pack("!H", ethertype) + packet


def pairs(count: int, size: int) -> list[tuple[bytes, bytes]]:
    rng = random.Random(size)
    return [(rng.randbytes(size), rng.randbytes(size)) for _ in range(count)]


pytestmark = pytest.mark.needs("root")


@pytest.mark.parametrize("size", [4, 16])
@pytest.mark.parametrize("tags", [(), (0x8100,), (0x88A8, 0x8100)], ids=["untagged", "VLAN", "QinQ"])
def test_both_directions_go_to_one_worker_and_tags_change_nothing(
    slot_of: Callable[[Share], Run], size: int, tags: tuple[int, ...]
) -> None:
    run = slot_of(Share("any", 1, 5))
    for src, dst in pairs(50, size):
        plain = run(frame_of(src, dst))
        assert run(frame_of(src, dst, tags)) == run(frame_of(dst, src, tags)) == plain


@pytest.mark.parametrize("size", [4, 16])
def test_pairs_of_addresses_are_spread_evenly(slot_of: Callable[[Share], Run], size: int) -> None:
    """Of 11 workers on 3 queues, queue 0 has 0, 3, 6 and 9."""
    run = slot_of(Share("any", 3, 11))
    counts = Counter(run(frame_of(src, dst)) for src, dst in pairs(2000, size))
    assert set(counts) == {0, 3, 6, 9}
    assert min(counts.values()) > 400


def test_hosts_of_one_network_are_spread(slot_of: Callable[[Share], Run]) -> None:
    run = slot_of(Share("any", 1, 4))
    counts = Counter(run(frame_of(bytes((10, 0, 0, host)), bytes((192, 0, 2, 1)))) for host in range(1, 255))
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) > 40


def test_everything_else_goes_to_the_first_worker(slot_of: Callable[[Share], Run]) -> None:
    run = slot_of(Share("any", 1, 7))
    whole = frame_of(bytes(range(4)), bytes(range(4, 8)))
    others = [whole[:33], whole[:14], bytes(12) + b"\x08\x06" + bytes(50), bytes(12) + b"\x81\x00" + bytes(2)]
    others += [bytes(12) + b"\x81\x00\0\0" * 3 + b"\x08\x00" + whole[14:]]
    assert [run(frame) for frame in others] == [0] * len(others)


def test_as_many_queues_as_workers_need_no_hash(slot_of: Callable[[Share], Run]) -> None:
    run = slot_of(Share("any", 4, 4))
    assert {run(frame_of(src, dst)) for src, dst in pairs(20, 4)} == {0}


def test_a_frame_whose_worker_has_no_socket_passes() -> None:
    share = Share("any", 1, 3)
    sockets = make_xskmap(share.workers)
    program = load_program(redirect_program(share, sockets))
    try:
        assert {retval(program, frame_of(src, dst)) for src, dst in pairs(20, 4)} == {XDP_PASS}
    finally:
        os.close(program)
        os.close(sockets)


def test_what_the_verifier_says_is_told() -> None:
    code = Assembler()
    code.load(4, 0, 9, 0)
    code.leave()
    with pytest.raises(OSError, match="R9 !read_ok"):
        load_program(code.assemble())
