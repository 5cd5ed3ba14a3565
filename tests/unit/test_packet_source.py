"""The packet source's parts that need no network: layouts, programs, books, and what a kernel of old asks for."""

from __future__ import annotations

import errno
import select
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zcframe.framework import abi
from zcframe.framework.nic import LinkChange
from zcframe.framework.nic.link import hardware, promiscuous
from zcframe.framework.nic.link.netlink import Counters as Tally
from zcframe.framework.nic.link.netlink import Link
from zcframe.framework.nic.link.watch import LinkState
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.packet import classic_bpf
from zcframe.framework.sources.packet import losses as book
from zcframe.framework.sources.packet import socket as calls
from zcframe.framework.sources.packet import source as packet
from zcframe.framework.sources.packet import tpacket as layout
from zcframe.framework.sources.packet.fanout import Group
from zcframe.framework.sources.packet.losses import Losses
from zcframe.framework.sources.packet.ring import MIN_BLOCKS, blocks_for
from zcframe.framework.sources.packet.source import Packet
from zcframe.framework.sources.plan import LivePlan

# What the kernel's own header calls it.
LAYOUT = {
    "BLOCK_STATUS": "offsetof(struct tpacket_block_desc, hdr.bh1.block_status)",
    "BLOCK_FRAMES": "offsetof(struct tpacket_block_desc, hdr.bh1.num_pkts)",
    "BLOCK_FIRST": "offsetof(struct tpacket_block_desc, hdr.bh1.offset_to_first_pkt)",
    "BLOCK_SEQUENCE": "offsetof(struct tpacket_block_desc, hdr.bh1.seq_num)",
    "STATUS_KERNEL": "TP_STATUS_KERNEL",
    "STATUS_USER": "TP_STATUS_USER",
    "FRAME_NEXT": "offsetof(struct tpacket3_hdr, tp_next_offset)",
    "FRAME_SECONDS": "offsetof(struct tpacket3_hdr, tp_sec)",
    "FRAME_NANOSECONDS": "offsetof(struct tpacket3_hdr, tp_nsec)",
    "FRAME_CAPTURED": "offsetof(struct tpacket3_hdr, tp_snaplen)",
    "FRAME_LENGTH": "offsetof(struct tpacket3_hdr, tp_len)",
    "FRAME_STATUS": "offsetof(struct tpacket3_hdr, tp_status)",
    "FRAME_MAC": "offsetof(struct tpacket3_hdr, tp_mac)",
    "FRAME_NETWORK": "offsetof(struct tpacket3_hdr, tp_net)",
    "FRAME_PROTOCOL": "TPACKET_ALIGN(sizeof(struct tpacket3_hdr)) + offsetof(struct sockaddr_ll, sll_protocol)",
    "FRAME_HARDWARE": "TPACKET_ALIGN(sizeof(struct tpacket3_hdr)) + offsetof(struct sockaddr_ll, sll_hatype)",
    "FRAME_ADDRESS_SIZE": "TPACKET_ALIGN(sizeof(struct tpacket3_hdr)) + offsetof(struct sockaddr_ll, sll_halen)",
    "FRAME_ADDRESS": "TPACKET_ALIGN(sizeof(struct tpacket3_hdr)) + offsetof(struct sockaddr_ll, sll_addr)",
    "FRAME_VLAN_TCI": "offsetof(struct tpacket3_hdr, hv1.tp_vlan_tci)",
    "FRAME_VLAN_TPID": "offsetof(struct tpacket3_hdr, hv1.tp_vlan_tpid)",
    "FRAME_VLAN_VALID": "TP_STATUS_VLAN_VALID",
    "FRAME_TPID_VALID": "TP_STATUS_VLAN_TPID_VALID",
    "TAG_SIZE": "4",
}
CALLS = {
    "SOL_PACKET": "SOL_PACKET",
    "PACKET_ADD_MEMBERSHIP": "PACKET_ADD_MEMBERSHIP",
    "PACKET_RX_RING": "PACKET_RX_RING",
    "PACKET_STATISTICS": "PACKET_STATISTICS",
    "PACKET_VERSION": "PACKET_VERSION",
    "PACKET_FANOUT": "PACKET_FANOUT",
    "PACKET_FANOUT_DATA": "PACKET_FANOUT_DATA",
    "TPACKET_V3": "TPACKET_V3",
    "PACKET_MR_PROMISC": "PACKET_MR_PROMISC",
    "SO_ATTACH_FILTER": "SO_ATTACH_FILTER",
    "SO_DETACH_FILTER": "SO_DETACH_FILTER",
    "HARDWARE": "(unsigned)(SKF_AD_OFF + SKF_AD_HATYPE)",
    "NETWORK": "(unsigned)SKF_NET_OFF",
    **{name: name for name in vars(hardware) if name.startswith("ARPHRD_")},
}
SIZES = {
    "RING_REQUEST": "tpacket_req3",
    "STATISTICS": "tpacket_stats_v3",
    "MEMBERSHIP": "packet_mreq",
    "PROGRAM": "sock_fprog",
    "INSTRUCTION": "sock_filter",
    "ADDRESS": "sockaddr_ll",
}
HEADERS = ["stddef.h", "stdio.h", "sys/socket.h", "linux/if_packet.h", "linux/filter.h", "linux/if_arp.h"]


def told_by_gcc(folder: Path, expressions: list[str]) -> list[int]:
    source = "".join(f"#include <{header}>\n" for header in HEADERS)
    source += "int main(void) {" + "".join(f'printf("%ld\\n", (long)({one}));' for one in expressions) + "}"
    (folder / "a.c").write_text(source)
    subprocess.run(["gcc", "-o", folder / "a", folder / "a.c"], check=True)
    return [int(line) for line in subprocess.check_output([folder / "a"]).split()]


def _of_ours(name: str) -> Any:
    return next(
        getattr(module, name) for module in (layout, calls, promiscuous, hardware, classic_bpf) if hasattr(module, name)
    )


@pytest.mark.needs("gcc")
def test_as_in_the_kernels_header(tmp_path: Path) -> None:
    names = [*LAYOUT.items(), *CALLS.items()]
    told = told_by_gcc(tmp_path, [expression for _, expression in names])
    ours = [_of_ours(name) for name, _ in names]
    assert dict(zip([n for n, _ in names], ours, strict=True)) == dict(zip([n for n, _ in names], told, strict=True))
    sizes = told_by_gcc(tmp_path, [f"sizeof(struct {name})" for name in SIZES.values()])
    assert [_of_ours(name).size for name in SIZES] == sizes


def test_every_name_of_the_layout_is_compared() -> None:
    assert {name for name in vars(layout) if name.isupper()} == set(LAYOUT)


@pytest.mark.parametrize("slots", [1 << n for n in range(6, 17)])
def test_blocks(slots: int) -> None:
    """As the kernel asks for: whole pages, whole frames; and room for the longest frame, headers included."""
    size, count = blocks_for(slots)
    assert size % abi.PAGE_SIZE == 0 and size % calls.FRAME_SIZE == 0
    assert size >= MAX_LENGTH + 256 and count >= MIN_BLOCKS
    assert size * count == max(slots * abi.BLOCK_SIZE, size * MIN_BLOCKS)


class Statistics:
    """Counters of lo in a tree of our own."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/net/lo/statistics"
        self._folder.mkdir(parents=True)
        self._backlogs = root / "proc/net/softnet_stat"
        self._backlogs.parent.mkdir(parents=True)
        self.say(0, 0, 0, 0)

    def say(self, missed: int, fifo: int, dropped: int, backlog: int) -> None:
        for name, count in (("missed_errors", missed), ("fifo_errors", fifo), ("dropped", dropped)):
            (self._folder / f"rx_{name}").write_text(f"{count}\n")
        self._backlogs.write_text(f"00000010 {backlog:08x} 00000000\n00000020 00000000 00000000\n")


@pytest.mark.parametrize(
    ("said", "lost", "at_least"),
    [
        ((0, 0, 0, 0), 0, False),
        ((3, 0, 0, 0), 3, False),
        ((3, 4, 0, 0), 7, False),
        # By the backlog of a CPU: of this interface, and of another one.
        ((0, 0, 5, 5), 5, False),
        ((0, 0, 5, 16), 5, False),
        # Captured, and then taken by no protocol: perhaps all of them.
        ((0, 0, 5, 0), 0, True),
        ((2, 0, 5, 1), 3, True),
    ],
)
def test_losses(tmp_path: Path, said: tuple[int, int, int, int], lost: int, at_least: bool) -> None:
    statistics = Statistics(tmp_path)
    statistics.say(100, 100, 100, 100)
    losses = Losses(socket.if_nametoindex("lo"), tmp_path)
    losses.begin()
    statistics.say(*(100 + count for count in said))
    losses.refresh()
    assert (losses.lost, losses.at_least) == (lost, at_least)


def link(index: int, missed: int, kind: str = "") -> Link:
    return Link(index, f"if{index}", kind=kind, counters=Tally(missed=missed))


def test_losses_of_all_interfaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One goes, one comes with what it lost elsewhere, and a bond counts what its ports count."""
    Statistics(tmp_path)
    told = iter(
        (
            [link(1, 5), link(2, 7), link(9, 12, "bond")],
            [link(1, 6), link(2, 9), link(9, 15, "bond")],
            [link(1, 6), link(3, 100)],
            [link(1, 6), link(3, 101)],
        )
    )
    monkeypatch.setattr(book, "links", lambda: next(told))
    losses = Losses(book.EVERY, tmp_path)
    losses.begin()
    counted = []
    for _ in range(3):
        losses.refresh()
        counted.append((losses.lost, losses.at_least))
    assert counted == [(3, False), (3, False), (4, False)]


def test_losses_of_a_driver_that_counts_anew(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path)
    statistics.say(100, 0, 0, 0)
    losses = Losses(socket.if_nametoindex("lo"), tmp_path)
    losses.begin()
    for missed in (104, 3, 3, 5):
        statistics.say(missed, 0, 0, 0)
        losses.refresh()
    assert losses.lost == 4 + 3 + 2


def _refuse(number: int) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    return refuse


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.EPERM, "no permission to capture from eth0: CAP_NET_RAW is missing; "),
        (errno.EAFNOSUPPORT, "this kernel has no packet sockets: modprobe af_packet, or set CONFIG_PACKET"),
        (errno.EMFILE, "cannot open a packet socket for eth0: no"),
    ],
)
def test_refusals(monkeypatch: pytest.MonkeyPatch, number: int, line: str) -> None:
    monkeypatch.setattr(calls.socket, "socket", _refuse(number))
    with pytest.raises(calls.PacketError) as error:
        calls.open_socket("eth0")
    assert str(error.value).startswith(line)


def test_no_memory() -> None:
    sock: Any = SimpleNamespace(setsockopt=lambda _, option, __: _refuse(errno.ENOMEM)() if option == 5 else None)
    with pytest.raises(calls.RingError, match=r"no packet ring of 8.0 MiB: .*; use fewer --queues or a smaller"):
        calls.make_blocks(sock, 1 << 20, 8, 8)


@pytest.fixture
def plan() -> LivePlan:
    return LivePlan("packet", "lo", RssConfig.make("symmetric", "5-tuple", 1), queues=1, ring_slots=64)


def say_something() -> None:
    """One frame on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        any_socket.sendto(b"x", ("127.0.0.1", 9))


@pytest.mark.needs("root")
def test_a_kernel_that_lets_nobody_join_while_down(monkeypatch: pytest.MonkeyPatch, plan: LivePlan) -> None:
    """Before 6.13: the group is formed when the interface comes up, and nothing comes in before."""
    # Once at the start, once when it is told that the interface is up, of which the socket does not know yet.
    refusals = [OSError(errno.EINVAL, "Invalid argument")] * 2
    join = Group.join

    def join_late(group: Group) -> None:
        if refusals:
            raise refusals.pop()
        join(group)

    monkeypatch.setattr(Group, "join", join_late)
    monkeypatch.setattr(packet, "link_state", lambda _: LinkState("lo", up=False, linked=False, mtu=65536))
    source = Packet(plan)
    try:
        source.start()
        (told,) = source.poll_events()
        assert told.text == "lo is down: nothing comes until somebody brings it up"
        source.go()
        say_something()
        assert calls.statistics(source.rings[0].socket) == (0, 0)
        source._hear(LinkChange("up", "lo is up again"))
        source.poll_events()
        assert refusals == []
        say_something()
        assert calls.statistics(source.rings[0].socket) == (0, 0)
        assert select.select([source.events_fd], [], [], 5.0)[0]
        source.poll_events()
        say_something()
        assert calls.statistics(source.rings[0].socket)[0] > 0
    finally:
        source.close()


@pytest.mark.needs("root")
def test_an_interface_that_is_up_and_lets_nobody_in(monkeypatch: pytest.MonkeyPatch, plan: LivePlan) -> None:
    """It is not tried for ever."""
    monkeypatch.setattr(packet, "JOIN_S", 0.05)
    monkeypatch.setattr(packet, "link_state", lambda _: LinkState("lo", up=False, linked=False, mtu=65536))
    monkeypatch.setattr(Group, "join", _refuse(errno.EINVAL))
    source = Packet(plan)
    try:
        source.start()
        source._hear(LinkChange("up", "lo is up again"))
        monkeypatch.setattr(packet, "link_state", lambda _: LinkState("lo", up=True, linked=True, mtu=65536))
        with pytest.raises(calls.PacketError, match="cannot share out the frames of lo: no"):
            while select.select([source.events_fd], [], [], 5.0)[0]:
                source.poll_events()
    finally:
        source.close()


@pytest.mark.needs("root")
def test_a_group_that_cannot_be_formed(monkeypatch: pytest.MonkeyPatch, plan: LivePlan) -> None:
    monkeypatch.setattr(Group, "join", _refuse(errno.EINVAL))
    source = Packet(plan)
    try:
        with pytest.raises(calls.PacketError, match="cannot share out the frames of lo: no"):
            source.start()
    finally:
        source.close()


@pytest.mark.needs("root")
def test_stopped_before_anything_came(plan: LivePlan) -> None:
    """The end is told once; the descriptor that tells it can be read from then on."""
    source = Packet(plan)
    try:
        source.start()
        source.stop()
        told: list[SourceEvent] = []
        while not told:
            assert select.select([source.events_fd], [], [], 5.0)[0]
            told = source.poll_events()
        assert told == [SourceEvent("finished", "lo stopped")]
        assert select.select([source.events_fd], [], [], 5.0)[0]
        assert source.poll_events() == []
    finally:
        source.close()
