"""Which sysfs shows this network namespace, where it may not be asked by a mount; interfaces of made-up machines."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kit.sysfs import add_function, add_interface, files
from zcframe.framework.errors import NicError
from zcframe.framework.nic import Interface, interrupts_of, link_state
from zcframe.framework.nic.link import namespace
from zcframe.framework.nic.link.namespace import Sysfs, file_of
from zcframe.framework.nic.link.netlink import Link, link_by_index, links
from zcframe.framework.nic.link.watch import LinkWatch
from zcframe.framework.sysfs import class_net

CARD = Link(7, "eth0", mac="02:00:00:00:00:01", parent="0000:02:00.0", bus="pci")
VIRTUAL = Link(8, "v0", mac="02:00:00:00:00:02")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no sysfs may be mounted, what /sys is, with a card and a virtual interface."""
    add_interface(tmp_path, "eth0", add_function(tmp_path, "0000:02:00.0", "8086:10c9", "igb"))
    add_interface(tmp_path, "v0")
    monkeypatch.setattr(namespace, "CLASS_NET", class_net(tmp_path))
    monkeypatch.setattr(namespace, "mount_sysfs", _refuse)
    return tmp_path


def _refuse() -> int:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def judged(monkeypatch: pytest.MonkeyPatch, *told: Link) -> Sysfs:
    """What is made of /sys where the kernel tells of these interfaces."""
    monkeypatch.setattr(namespace, "links", lambda: list(told))
    return namespace.sysfs.__wrapped__()


def test_hardware_proves_whose_sys_it_is(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, VIRTUAL, CARD).found == "there"
    # An interface like it in another namespace: the same name, index and address, and another device, or none.
    others = [replace(CARD, parent="0000:02:00.1"), replace(CARD, parent="", bus="")]
    others += [replace(CARD, index=9), replace(CARD, mac="02:00:00:00:00:09"), replace(CARD, name="eth1")]
    # Several interfaces of one device.
    others += [replace(CARD, port="p1")]
    assert {judged(monkeypatch, VIRTUAL, other).found for other in others} == {"none"}
    files(machine, {"sys/class/net/eth0/phys_port_name": "p1\n"})
    assert judged(monkeypatch, replace(CARD, port="p1")).found == "there"
    assert judged(monkeypatch, CARD).found == "none"


def test_names_indices_and_addresses_prove_nothing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What /sys shows of v0 is what the kernel tells of it, in every fact."""
    found = judged(monkeypatch, replace(VIRTUAL, index=7, mac="02:00:00:00:00:01"))
    assert (found.folder, found.found, found.reason) == (None, "none", "Operation not permitted")


def test_what_nothing_shows_is_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(namespace, "sysfs", lambda: Sysfs(None, "none", "for a reason"))
    with pytest.raises(NicError, match=r"^/sys/class/net/eth0/threaded is out of reach: .*\(for a reason\)$"):
        file_of("/sys/class/net/eth0/threaded")
    # The rest is the same in every sysfs; a made-up tree is what it is.
    assert file_of("/sys/bus/pci") == Path("/sys/bus/pci")
    assert file_of("/proc/irq/24/smp_affinity_list") == Path("/proc/irq/24/smp_affinity_list")
    assert file_of("/sys/class/net/eth0/threaded", tmp_path) == tmp_path / "sys/class/net/eth0/threaded"
    monkeypatch.setattr(namespace, "sysfs", lambda: Sysfs(Path("/proc/self/fd/7"), "mounted"))
    assert file_of("/sys/class/net/eth0/threaded") == Path("/proc/self/fd/7/class/net/eth0/threaded")


def test_interrupts_are_those_of_the_device(tmp_path: Path) -> None:
    """Of two interfaces with one name, in two network namespaces, each has its own."""
    card = add_function(tmp_path, "0000:02:00.0", "8086:10c9", "igb")
    add_interface(tmp_path, "eth0", card)
    rows = "".join(f" {irq}:  1  PCI-MSIX  0-edge  eth0-TxRx-{queue}\n" for queue, irq in enumerate((24, 25, 31)))
    files(tmp_path, {"proc/interrupts": rows})
    interface = Interface("eth0", class_net(tmp_path))
    assert interrupts_of(interface, tmp_path / "proc") == {0: 24, 1: 25, 2: 31}
    files(card, {f"msi_irqs/{irq}": "msix\n" for irq in (24, 25)})
    assert interrupts_of(interface, tmp_path / "proc") == {0: 24, 1: 25}


@pytest.mark.needs("namespaces")
def test_interfaces_of_this_machine_are_those_of_ip() -> None:
    told = json.loads(subprocess.run(["ip", "-d", "-j", "link"], capture_output=True, text=True, check=True).stdout)
    rows = [(row["ifindex"], row["ifname"], row.get("parentdev", ""), row.get("parentbus", "")) for row in told]
    assert [(link.index, link.name, link.parent, link.bus) for link in links()] == rows


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Nothing can be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_kernel_that_cannot_be_asked_is_no_interface_that_is_gone() -> None:
    watch = LinkWatch(1)
    state = link_state(1)
    with without_descriptors():
        with pytest.raises(NicError, match="cannot ask the kernel for interfaces .*: Too many open files"):
            link_by_index(1)
        assert watch.changes() == []
    assert (watch.changes(), link_state(1)) == ([], state)
    watch.close()
    assert link_by_index(1 << 30) is None
