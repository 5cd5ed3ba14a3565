"""What AF_XDP decides before it opens anything: who serves what, memory, capabilities, routes, drops."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from zcframe.framework.errors import NicError, XdpError
from zcframe.framework.nic import Channels
from zcframe.framework.nic.link.route import carriers
from zcframe.framework.sources.xdp import share as share_module
from zcframe.framework.sources.xdp.drops import InterfaceDrops
from zcframe.framework.sources.xdp.refusal import check_capabilities
from zcframe.framework.sources.xdp.share import Share
from zcframe.framework.sources.xdp.umem import Umem, chunk_size_for


def _count(root: Path, missed: int, fifo: int, dropped: int) -> None:
    folder = root / "sys/class/net/lo/statistics"
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("missed_errors", missed), ("fifo_errors", fifo), ("dropped", dropped)):
        (folder / f"rx_{name}").write_text(f"{count}\n")


def test_drops_of_an_interface(tmp_path: Path) -> None:
    """Missed and dropped ones, from the beginning to the end."""
    drops = InterfaceDrops(socket.if_nametoindex("lo"), tmp_path)
    _count(tmp_path, 100, 1, 1 << 32)
    assert drops.read() == 0
    drops.begin()
    _count(tmp_path, 103, 99, (1 << 32) + 40)
    assert drops.read() == 43
    _count(tmp_path, 0, 0, 0)
    assert drops.read() == 43
    _count(tmp_path, 104, 99, (1 << 32) + 40)
    drops.end()
    _count(tmp_path, 200, 99, (1 << 32) + 40)
    assert drops.read() == 44


def test_drops_of_an_interface_that_is_gone(tmp_path: Path) -> None:
    drops = InterfaceDrops(socket.if_nametoindex("lo"), tmp_path)
    drops.begin()
    assert drops.read() == 0


@pytest.mark.parametrize(("queues", "workers"), [(1, 1), (4, 4), (1, 8), (3, 8), (2, 16)])
def test_every_queue_and_every_worker_has_its_place(queues: int, workers: int) -> None:
    share = Share("eth0", queues, workers)
    served = [worker for queue in range(queues) for worker in share.workers_of(queue)]
    assert sorted(served) == list(range(workers))
    assert all(share.queue_of(worker) == queue for queue in range(queues) for worker in share.workers_of(queue))
    for queue in range(queues):
        numbers = [share.seat_of(worker).number for worker in share.workers_of(queue)]
        assert numbers == list(range(1, len(numbers) + 1))
    assert share.shared == (workers > queues)


def channels(rx: int, combined: int) -> Channels:
    return Channels(rx=rx, tx=1, other=0, combined=combined, max_rx=rx, max_tx=1, max_other=0, max_combined=combined)


@pytest.mark.parametrize(
    ("queues", "has", "ways"),
    [
        (12, channels(0, 12), "use --queues 12, or ethtool -L eth0 combined 8"),
        (64, channels(0, 64), "ethtool -L eth0 combined 8"),
        (12, channels(12, 0), "use --queues 12, or ethtool -L eth0 rx 8"),
        (12, channels(2, 10), "use --queues 12, or ethtool -L eth0 combined 8 rx 0"),
        (12, None, "use --queues 12"),
        (64, None, "use --backend packet"),
    ],
)
def test_a_queue_without_a_worker_is_refused(
    monkeypatch: pytest.MonkeyPatch, queues: int, has: Channels | None, ways: str
) -> None:
    """By the kind of queues that the driver has; a TAP does not tell any."""

    def read(_: str) -> Channels:
        if has is None:
            raise NicError("the driver of eth0 cannot tell its channels")
        return has

    monkeypatch.setattr(share_module, "read_channels", read)
    with pytest.raises(XdpError, match=f"and --queues 8 would leave some without a worker: {ways}$"):
        Share("eth0", queues, 8)


@pytest.mark.parametrize(("mtu", "size"), [(1500, 2048), (1770, 2048), (1771, 4096), (3818, 4096)])
def test_a_chunk_takes_a_frame_with_two_tags(mtu: int, size: int) -> None:
    assert chunk_size_for("eth0", mtu) == size


def test_a_frame_beyond_a_page_is_refused() -> None:
    with pytest.raises(XdpError, match="ip link set eth0 mtu 3818"):
        chunk_size_for("eth0", 3819)


def test_more_memory_than_descriptors_can_address_is_refused() -> None:
    with pytest.raises(XdpError, match="use fewer of either"):
        Umem(0, 16, 65536, 2048)


def test_workers_that_stand_still_leave_chunks_to_the_kernel() -> None:
    umem = Umem(0, 3, 64, 2048)
    try:
        assert umem.chunks - 3 * (64 + 2 * 64) == 3 * 64
        assert umem.fill_size == 1024
        assert umem.addresses().tolist() == list(range(0, 3 * 4 * 64 * 2048, 2048))
    finally:
        umem.close()


def status(folder: Path, mask: int) -> Path:
    path = folder / "status"
    path.write_text(f"Name:\tpython3\nCapPrm:\tffffffffffffffff\nCapEff:\t{mask:016x}\n")
    return path


def test_cap_sys_admin_has_cap_bpf_in_it(tmp_path: Path) -> None:
    check_capabilities(status(tmp_path, 1 << 12 | 1 << 13 | 1 << 39))
    check_capabilities(status(tmp_path, 1 << 12 | 1 << 13 | 1 << 21))
    with pytest.raises(
        XdpError, match="needs CAP_BPF .to load it.: run as root, or let a group capture: zcframe setup-capture"
    ):
        check_capabilities(status(tmp_path, 1 << 12 | 1 << 13))


def test_what_carries_an_interface(tmp_path: Path) -> None:
    """A VLAN on a bond of two, which is in a bridge."""
    for upper, lowers in {"br0": ["bond0.5", "tap0"], "bond0.5": ["bond0"], "bond0": ["eth0", "eth1"]}.items():
        for lower in lowers:
            (tmp_path / upper / f"lower_{lower}").mkdir(parents=True)
    (tmp_path / "eth0").mkdir()
    assert carriers(["br0"], tmp_path) == {"br0", "bond0.5", "tap0", "bond0", "eth0", "eth1"}
    assert carriers(["eth0"], tmp_path) == {"eth0"}
