"""What `zcframe nic list` and `status` read, on machines made of files."""

from __future__ import annotations

from pathlib import Path

from tests.kit.sysfs import add_function, add_interface, files
from zcframe.framework.nic.cards.inventory import Port, take_inventory
from zcframe.framework.nic.cards.pci import function_of
from zcframe.framework.nic.cards.pciids import device_names
from zcframe.framework.nic.link.irq import cpus_of
from zcframe.framework.nic.link.route import carriers
from zcframe.framework.nic.report.memshare import SharedRing, shared_rings

UP, DOWN = 0x1003, 0x1002

# As kernel/family/proc.c prints it: queue 0 of zc0 twice, for it sends, too; a socket that is not bound; another interface.
MEMSHARE = """\
interface       queue dir  slots    buffer state   epoch      write       read
zc0                 1 rx    4096   8388608 running     1          7          4294967290
zc0                 0 rx    4096   8388608 running     1       1000        999
zc0                 0 tx    1024   2097152 stopped     2          5          5
zc1                 0 rx      64    131072 setup       0          0          0
"""
SOCKETS = """\
inode    uid    interface       queue dir      arrived          bytes   nic_drop  ring_full   wakeups
4711     0      zc0                 0 rx          1003          64192          2          1        17
4712     0      -
4713     0      zc0                 1 rx            13           1300          0          0         3
"""

PCI_IDS = """\
#\tA list of vendors
1af4  Red Hat, Inc.
\t1041  Virtio 1.0 network device
\t\t1af4 1100  QEMU
\t1042  Virtio 1.0 block device
8086  Intel Corporation
\t10c9  some other name
\t15f2  Ethernet Controller I225-LM
C 02  Network controller
\t00  Ethernet controller
"""


def test_cards_their_interfaces_and_virtual_ones(tmp_path: Path) -> None:
    add_interface(tmp_path, "zc0", add_function(tmp_path, "0000:02:00.0", "8086:10c9", "zc82576"), DOWN, "")
    add_function(tmp_path, "0000:02:00.1", "8086:10c9")
    virtio = add_function(tmp_path, "0000:00:03.0", "1af4:1041", "virtio-pci")
    add_interface(tmp_path, "eth0", virtio / "virtio2", UP)
    add_function(tmp_path, "0000:00:02.0", "1af4:1042", "virtio-pci", kind="0x018000")
    add_interface(tmp_path, "lo", None, UP)
    files(tmp_path, {"sys/class/net/bonding_masters": "", "usr/share/misc/pci.ids": PCI_IDS})

    found = take_inventory({"eth0"}, tmp_path)
    rows = [(one.function.address, one.function.driver, one.name, one.ports) for one in found.controllers]
    assert rows == [
        ("0000:00:03.0", "virtio-pci", "Red Hat, Inc. Virtio 1.0 network device", (Port("eth0", True, True, True),)),
        ("0000:02:00.0", "zc82576", "Intel 82576 Gigabit", (Port("zc0", False, False, False),)),
        ("0000:02:00.1", "", "Intel 82576 Gigabit", ()),
    ]
    assert found.virtual == (Port("lo", True, True, False),)
    document = found.document()
    assert [one["zc82576"] for one in document["controllers"]] == [False, True, True]
    assert document["controllers"][0]["interfaces"][0]["default_route"] is True
    assert function_of("eth0", tmp_path) == found.controllers[0].function
    assert function_of("lo", tmp_path) is None


def test_a_machine_without_a_bus(tmp_path: Path) -> None:
    found = take_inventory(frozenset(), tmp_path)
    assert (found.controllers, found.virtual) == ((), ())


def test_names_come_from_the_first_list_that_is_there_and_from_ours(tmp_path: Path) -> None:
    ids = ["8086:10c9", "8086:15f2", "1af4:1100", "02:00"]
    assert device_names(ids, tmp_path) == {"8086:10c9": "Intel 82576 Gigabit"}
    files(tmp_path, {"usr/share/hwdata/pci.ids": PCI_IDS})
    assert device_names(ids, tmp_path) == {
        "8086:10c9": "Intel 82576 Gigabit",
        "8086:15f2": "Intel Corporation Ethernet Controller I225-LM",
    }


def test_shared_rings_with_their_counters(tmp_path: Path) -> None:
    assert shared_rings("zc0", tmp_path) == []
    files(tmp_path, {"proc/memshare": MEMSHARE, "proc/net/zerocopy": SOCKETS})
    assert shared_rings("zc0", tmp_path) == [
        SharedRing("zc0", 0, "rx", 4096, "running", 1, 1003, 2, 1),
        SharedRing("zc0", 1, "rx", 4096, "running", 13, 13, 0, 0),
        SharedRing("zc0", 0, "tx", 1024, "stopped", 0),
    ]
    assert shared_rings("zc", tmp_path) == []


def test_cpus_of_an_interrupt(tmp_path: Path) -> None:
    files(tmp_path, {"irq/24/smp_affinity_list": "0-1,4\n"})
    assert cpus_of(24, tmp_path) == "0-1,4"
    assert cpus_of(25, tmp_path) == ""


def test_what_carries_the_traffic_of_an_interface(tmp_path: Path) -> None:
    files(tmp_path, {f"{name}/x": "" for name in ("vlan5/lower_bond0", "bond0/lower_eth0", "bond0/lower_eth1", "eth2")})
    assert carriers(["vlan5"], tmp_path) == {"vlan5", "bond0", "eth0", "eth1"}
    assert carriers(["eth2", "eth1"], tmp_path) == {"eth2", "eth1"}
    assert carriers([], tmp_path) == frozenset()
