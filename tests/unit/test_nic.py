"""Controls of a NIC: structures against the kernel's header, interrupts in a made-up /proc, refusals of real interfaces."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from zcframe.framework.errors import NicError
from zcframe.framework.nic import Interface, irqs_of, read_rss, set_up
from zcframe.framework.nic.ethtool import rss

INTERRUPTS = """\
            CPU0       CPU1
  0:          2          0   IO-APIC   2-edge      timer
 24:         11          0   PCI-MSIX-0000:00:02.0   0-edge      zc0-rxtx-0
 25:          0         12   PCI-MSIX-0000:00:02.0   1-edge      zc0-rxtx-1
 26:          0          0   PCI-MSIX-0000:00:02.0   8-edge      zc0-other
 27:          0          0   PCI-MSIX-0000:00:03.0   0-edge      zc00-rxtx-0
 28:          0          0   PCI-MSIX-0000:00:04.0   3-edge      eth0-TxRx-3
 29:          0          0   PCI-MSIX-0000:00:05.0   1-edge      i40e-eth1-TxRx-1
 30:          0          0   PCI-MSIX-0000:00:06.0   1-edge      mlx5_comp2@pci:0000:00:06.0
 31:          0          0   PCI-MSIX-0000:00:07.0   1-edge      virtio0-input.0
 32:          0          0   PCI-MSIX-0000:00:07.0   2-edge      virtio0-output.0
NMI:          0          0   Non-maskable interrupts
"""

STRUCTURES = """\
#include <stddef.h>
#include <stdio.h>
#include <linux/ethtool.h>
int main(void)
{
    printf("%zu %zu %zu %zu\\n", offsetof(struct ethtool_rxfh, rss_config), offsetof(struct ethtool_rxfh, key_size),
        offsetof(struct ethtool_rxnfc, data), offsetof(struct ethtool_rxnfc, fs));
    printf("%d %d %d %d\\n", ETHTOOL_GRSSH, ETHTOOL_SRSSH, ETHTOOL_GRXFH, ETHTOOL_SRXFH);
    printf("%d %d %d %d\\n", TCP_V4_FLOW, UDP_V4_FLOW, TCP_V6_FLOW, UDP_V6_FLOW);
    printf("%d %d\\n", RXH_IP_SRC | RXH_IP_DST, RXH_L4_B_0_1 | RXH_L4_B_2_3);
    printf("%u\\n", ETH_RXFH_INDIR_NO_CHANGE);
}
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "interrupts").write_text(INTERRUPTS)
    return tmp_path


@pytest.mark.needs("gcc")
def test_structures_and_numbers_are_those_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "facts.c").write_text(STRUCTURES)
    subprocess.run(["gcc", "-o", tmp_path / "facts", tmp_path / "facts.c"], check=True)
    rows = subprocess.run([tmp_path / "facts"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [tuple(int(word) for word in row.split()) for row in rows]
    assert found[0] == (rss.RXFH.size, 12, 8, rss.RXNFC.size)
    assert found[1] == (rss.GRSSH, rss.SRSSH, rss.GRXFH, rss.SRXFH)
    assert found[2] == tuple(rss.FLOWS.values())
    assert found[3] == (rss.ADDRESSES, rss.PORTS)
    assert found[4] == (rss.KEEP_TABLE,)


def test_interrupts_of_an_interface(proc: Path) -> None:
    assert irqs_of("zc0", proc) == {0: 24, 1: 25}
    assert irqs_of("eth0", proc) == {3: 28}
    assert irqs_of("eth1", proc) == {1: 29}
    assert irqs_of("eth2", proc, "0000:00:06.0") == {2: 30}
    assert irqs_of("eth3", proc, "virtio0") == {0: 31}
    assert irqs_of("lo", proc) == {}


def test_a_machine_that_tells_no_interrupts(tmp_path: Path) -> None:
    assert irqs_of("eth0", tmp_path) == {}


def test_facts_of_an_interface() -> None:
    shown = subprocess.run(["ip", "-o", "link", "show", "lo"], capture_output=True, text=True, check=True).stdout
    assert Interface("lo").index == int(shown.partition(":")[0])
    assert Interface("lo").up == ("UP" in shown.partition("<")[2].partition(">")[0].split(","))


@pytest.mark.parametrize("name", ["nothere0", "", "../net", "a" * 40])
def test_no_such_interface(name: str) -> None:
    with pytest.raises(NicError, match="no interface"):
        Interface(name)


def test_an_interface_without_rss_says_so() -> None:
    with pytest.raises(NicError, match="driver of lo cannot tell its RSS table"):
        read_rss("lo")


def test_bringing_up_what_is_not_there() -> None:
    with pytest.raises(NicError, match="no interface"):
        set_up("nothere0", True)
